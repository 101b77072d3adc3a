// A problem's trees lie in the page as compressed HTML and are unpacked when it is opened.
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), sign => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Response(stream).text();
}

async function load(problem) {
  const packed = problem.querySelector('script');
  if (!packed) return;
  packed.remove();
  const body = problem.querySelector('.body');
  body.textContent = 'loading';
  body.innerHTML = await unpack(packed.textContent).catch(error =>
    `<p>These trees cannot be unpacked (${error.name}); open the page in a newer browser.</p>`);
  body.querySelectorAll('.view').forEach(start);
}

async function goTo(anchor) {
  const wanted = decodeURIComponent(anchor.slice(1));
  const found = [...document.querySelectorAll('.problem')]
    .filter(problem => wanted === problem.id || wanted.endsWith('/' + problem.id))
    .sort((a, b) => b.id.length - a.id.length)[0];
  if (!found) return;
  found.open = true;
  await load(found);
  const place = document.getElementById(wanted) || found;
  place.open = true;
  place.scrollIntoView();
}

document.addEventListener('toggle', event => {
  if (event.target.matches('.problem[open]')) load(event.target);
}, true);  // the event does not bubble
document.getElementById('filter').addEventListener('input', event => {
  const wanted = event.target.value.trim().toLowerCase();
  document.querySelectorAll('.problem').forEach(problem => {
    problem.hidden = !problem.firstElementChild.textContent.toLowerCase().includes(wanted);
  });
});
addEventListener('hashchange', () => goTo(location.hash));
goTo(location.hash);
