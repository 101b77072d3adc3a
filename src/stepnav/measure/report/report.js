'use strict';
// Click two columns: only the problems stay that one got right and the other did not, or less often.
const table = document.querySelector('.problems');
const heads = [...table.querySelectorAll('button')], said = document.getElementById('compared');
const rows = [...table.tBodies[0].rows];
let picked = [];

const share = (row, column) => {
  const text = row.cells[column + 1].dataset.r;
  return text === undefined ? null : +text;
};

function difference(row) {
  const [first, second] = picked.map(column => share(row, column));
  return first === null || second === null ? 0 : first - second;
}

function compare() {
  heads.forEach((head, column) => head.setAttribute('aria-pressed', picked.includes(column)));
  const isPair = picked.length === 2;
  rows.forEach(row => { row.hidden = isPair && difference(row) === 0; });
  const order = row => isPair ? -Math.sign(difference(row)) : 0;  // won first; else as in the run
  table.tBodies[0].append(...[...rows].sort((a, b) => order(a) - order(b)));
  const [first, second] = picked.map(column => heads[column].textContent);
  const won = rows.filter(row => isPair && difference(row) > 0).length;
  const lost = rows.filter(row => isPair && difference(row) < 0).length;
  said.textContent = isPair
    ? `${first} won ${won} against ${second} (shown first) and lost ${lost}.`
    : picked.length ? `${first}: now click the strategy to compare it with.`
    : 'Click two strategies to see what the first won and what it lost against the second.';
}

heads.forEach((head, column) => head.addEventListener('click', () => {
  picked = picked.includes(column) ? picked.filter(other => other !== column)
    : [...picked.slice(-1), column];
  compare();
}));
compare();
