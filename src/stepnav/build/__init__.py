"""The only place where names become objects: strategies, tasks, policies, reward models.

Each kind is one literal table. Modules are imported when their name is asked for, so that looking
a name up costs nothing.
"""

from stepnav.build.check_models import check_models
from stepnav.build.device import check_device
from stepnav.build.folders import backbone_accuracy, policy_folder
from stepnav.build.grid import candidates
from stepnav.build.models import (
    Models,
    choose_models,
    choose_shots,
    doubt_of,
    open_any,
    open_models,
    with_measured,
)
from stepnav.build.policies import policy_format
from stepnav.build.rewards import (
    REWARD_KEY,
    RewardServer,
    as_judge,
    is_served,
    open_reward,
    reward_family,
    reward_folder,
    without_thoughts,
)
from stepnav.build.strategies import STRATEGIES, as_strategy, parse_strategy, strategy
from stepnav.build.tasks import (
    CODE_TASKS,
    EMBEDDED_TASKS,
    TASKS,
    TYPED_TASK,
    check_sandbox,
    load_programs,
    load_task,
)

__all__ = [
    "CODE_TASKS",
    "EMBEDDED_TASKS",
    "REWARD_KEY",
    "STRATEGIES",
    "TASKS",
    "TYPED_TASK",
    "Models",
    "RewardServer",
    "as_judge",
    "as_strategy",
    "backbone_accuracy",
    "candidates",
    "check_device",
    "check_models",
    "check_sandbox",
    "choose_models",
    "choose_shots",
    "doubt_of",
    "is_served",
    "load_programs",
    "load_task",
    "open_any",
    "open_models",
    "open_reward",
    "parse_strategy",
    "policy_folder",
    "policy_format",
    "reward_family",
    "reward_folder",
    "strategy",
    "with_measured",
    "without_thoughts",
]
