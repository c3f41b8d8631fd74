// Keeps one part of a page up to date. Without it a page is what it was when it was loaded.
(() => {
  "use strict";
  const part = document.getElementById("live");
  if (!part || !part.dataset.live || !window.EventSource) return;
  const sentence = document.getElementById("sentence");
  const note = document.getElementById("live-note");
  let waiting = null;

  const isUsed = () => part.contains(document.activeElement) || part.querySelector("details.confirm[open]") !== null;

  const show = (look) => {
    // What somebody is about to press or to fill in stays where it is.
    if (isUsed()) { waiting = look; return; }
    waiting = null;
    const open = new Set([...part.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
    part.innerHTML = look.html;
    for (const summary of part.querySelectorAll("details > summary")) {
      if (open.has(summary.textContent)) summary.parentElement.open = true;
    }
  };

  const take = (event) => {
    const look = JSON.parse(event.data);
    if (sentence && look.sentence && sentence.innerHTML !== look.sentence) sentence.innerHTML = look.sentence;
    show(look);
  };

  part.addEventListener("focusout", () => setTimeout(() => { if (waiting) show(waiting); }, 0));

  const open = () => {
    const source = new EventSource(part.dataset.live);
    source.onopen = () => { note.textContent = " · live"; };
    source.onmessage = take;
    source.onerror = () => {
      note.textContent = " · not live at the moment";
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 30000);
    };
    window.addEventListener("pagehide", () => source.close(), { once: true });
  };
  open();
})();
