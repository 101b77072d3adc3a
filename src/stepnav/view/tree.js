'use strict';
// Works on every `.view` (one tree with its tools) in the page, also on those that come later.
const lines = view => [...view.querySelectorAll('.line')];
const block = line => line.matches('summary') ? line.parentElement : line;
// Browsers lay out what is folded away, so boxes alone do not tell.
const isSeen = node => node.getClientRects().length > 0
  && !block(node).parentElement.closest('details:not([open])');
const viewOf = node => node.closest('.view');

function reveal(line) {
  for (let above = block(line).parentElement; above; above = above.parentElement)
    if (above.matches('details')) above.open = true;
}

function foldAll(view, isOpen) {
  view.querySelectorAll('.tree details').forEach(part => { part.open = isOpen(part); });
}

function replay(view, count) {
  const all = lines(view), slider = view.querySelector('.replay input');
  slider.value = count;
  all.forEach(line => {
    block(line).hidden = line.dataset.n > count;
    line.classList.toggle('now', count < all.length && line.dataset.n == count);
  });
  const now = view.querySelector('.now');
  if (now) { reveal(now); now.scrollIntoView({block: 'nearest'}); }
  view.querySelector('.replay output').value = `${count} of ${all.length}`;
}

function play(view, button) {
  const slider = view.querySelector('.replay input');
  clearInterval(view.clock);
  const starts = button.getAttribute('aria-pressed') !== 'true';
  button.setAttribute('aria-pressed', starts);
  if (!starts) return;
  if (slider.value === slider.max) replay(view, 0);
  view.clock = setInterval(() => {
    replay(view, +slider.value + 1);
    if (slider.value === slider.max) play(view, button);
  }, 600);
}

function search(view, words) {
  const wanted = words.trim().toLowerCase();
  const hits = lines(view).filter(line => {
    const isHit = wanted !== '' && line.textContent.toLowerCase().includes(wanted);
    line.classList.toggle('hit', isHit);
    line.classList.remove('wanted');
    return isHit;
  });
  hits.forEach(reveal);
  view.hits = hits;
  view.at = -1;
  view.querySelector('.found').textContent = wanted === '' ? '' : `${hits.length} found`;
}

function nextHit(view, step) {
  const hits = view.hits || [];
  if (!hits.length) return;
  if (view.at >= 0) hits[view.at].classList.remove('wanted');
  view.at = view.at < 0 ? (step > 0 ? 0 : hits.length - 1)
    : (view.at + step + hits.length) % hits.length;
  reveal(hits[view.at]);
  hits[view.at].classList.add('wanted');
  hits[view.at].scrollIntoView({block: 'center'});
  view.querySelector('.found').textContent = `${view.at + 1} of ${hits.length}`;
}

const acts = {
  open: view => foldAll(view, () => true),
  path: view => foldAll(view, part => part.firstElementChild.matches('.chosen')),
  dead: (view, button) => button.setAttribute('aria-pressed',
    view.querySelector('.tree').classList.toggle('brief')),
  play,
};

function start(view) {
  view.querySelector('.tools').hidden = false;
  lines(view).forEach(line => { line.tabIndex = 0; });
}

function move(line, key) {
  const part = line.parentElement, isFold = line.matches('summary');
  if (key === 'ArrowRight' && isFold) part.open = true;
  else if (key === 'ArrowLeft' && isFold && part.open) part.open = false;
  else if (key === 'ArrowLeft')
    block(line).parentElement.closest('details:not(.search, .problem)')?.firstElementChild.focus();
  else {
    const seen = lines(viewOf(line)).filter(isSeen), at = seen.indexOf(line);
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: seen.length - 1}[key];
    if (to === undefined) return false;
    seen[to]?.focus();
  }
  return true;
}

document.addEventListener('click', event => {
  const button = event.target.closest('[data-act]');
  if (button) acts[button.dataset.act](viewOf(button), button);
});
document.addEventListener('input', event => {
  const view = viewOf(event.target);
  if (!view) return;
  if (event.target.type === 'range') replay(view, +event.target.value);
  else search(view, event.target.value);
});
document.addEventListener('keydown', event => {
  const at = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (at.matches?.('.line') && move(at, event.key)) event.preventDefault();
  else if (event.key === '/' && !at.matches('input')) {
    const view = viewOf(at) || [...document.querySelectorAll('.view')].find(isSeen);
    if (!view) return;
    view.querySelector('[type=search]').focus();
    event.preventDefault();
  } else if (at.matches('.tools [type=search]')) {
    if (event.key === 'Enter') nextHit(viewOf(at), event.shiftKey ? -1 : 1);
    if (event.key === 'Escape') { at.value = ''; search(viewOf(at), ''); }
  }
});
document.querySelectorAll('.view').forEach(start);
