// Keeps parts of the page up to date, and asks before what cannot be undone. All works without it.
'use strict';

for (const part of document.querySelectorAll('[data-live]')) {
  const news = new EventSource(part.dataset.live);
  news.onmessage = (event) => {
    // Whoever is reading or typing in it is not disturbed.
    if (!part.contains(document.activeElement)) part.innerHTML = event.data;
  };
  // The server has no room for more, or we have been logged out: the page stays as it is.
  news.onerror = () => { if (news.readyState === EventSource.CLOSED) delete part.dataset.live; };
}

document.addEventListener('submit', (event) => {
  const question = event.submitter?.dataset.ask;
  if (question && !confirm(question)) event.preventDefault();
});
