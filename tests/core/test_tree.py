from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.codec import decode_tree, encode_tree
from stepnav.core.records import Message, Problem, Step, StepScore, Trajectory
from stepnav.core.tree import Tree

A, B, END = Step("a\n"), Step("b\n"), Step("#### 1", "end")


def make_tree():
    seen = []
    return Tree(Problem("p", "q", "1", {"level": 2}), seen.append), seen


def test_equal_prefixes_share_nodes():
    tree, _ = make_tree()
    first = tree.add_trajectory(Trajectory(tree.problem, (A, END)))
    second = tree.add_trajectory(Trajectory(tree.problem, (A, B, END)))
    assert len(tree.nodes) == 5
    assert tree.parent(first) is tree.path(second)[0]
    assert first.duplicates == second.duplicates == 0


def test_equal_trajectories_are_duplicates():
    tree, _ = make_tree()
    leaf = tree.add_trajectory(Trajectory(tree.problem, (A, END)))
    assert tree.add_trajectory(Trajectory(tree.problem, (A, END))) is leaf
    assert leaf.duplicates == 1
    assert tree.add_trajectory(Trajectory(tree.problem, (A, END)), is_new=False).duplicates == 1


def test_white_space_does_not_make_a_new_step():
    tree, _ = make_tree()
    node = tree.add(tree.root, Step("a\n"))
    assert tree.find_child(tree.root, Step("\na ")) is node
    assert tree.find_child(tree.root, Step("a", "length")) is None


def test_a_viewer_sees_every_change():
    tree, seen = make_tree()
    node = tree.add(tree.root, A)
    tree.mark(node, "dead")
    assert [n.index for n in seen] == [1, 1]


def test_path_and_marks():
    tree, _ = make_tree()
    leaf = tree.add(tree.add(tree.root, A), END)
    tree.mark_path(leaf, "chosen")
    assert [node.status for node in tree.nodes] == ["open", "chosen", "chosen"]
    assert leaf.depth == 2 and leaf.is_finished


steps = st.builds(
    Step,
    text=st.text(min_size=1),
    finish=st.sampled_from(["step", "end", "length"]),
    num_tokens=st.integers(0, 99),
    logprob=st.none() | st.floats(-50, 0),
)


@given(st.lists(st.lists(steps, min_size=1, max_size=4), max_size=6))
def test_json_round_trip(paths):
    tree = Tree(Problem("p", "q", None, {"a": [1, None]}))
    for path in paths:
        leaf = tree.add_trajectory(Trajectory(tree.problem, tuple(path)))
        leaf.score = StepScore(0.125, 0.25, 0.625)
        leaf.value = 0.1 + 0.2
    assert encode_tree(decode_tree(encode_tree(tree))) == encode_tree(tree)


def test_a_path_that_all_share_is_settled_once():
    tree, seen = make_tree()
    first = tree.add(tree.root, A)
    left, right = tree.add(first, A), tree.add(first, B)
    seen.clear()
    tree.settle([left, right])
    tree.settle([left, right])
    tree.settle([tree.root])
    assert [node.index for node in tree.nodes if node.is_settled] == [first.index]
    assert seen == [first]
    tree.settle([right])
    assert right.is_settled and not left.is_settled


def test_a_conversation_survives_the_round_trip():
    turns = (Message("system", "Be brief."), Message("user", "Hello"))
    tree = Tree(Problem("p", "q", context=turns))
    assert decode_tree(encode_tree(tree)).problem == tree.problem
    assert "context" not in encode_tree(Tree(Problem("p", "q")))["problem"]
