// Keeps one part of a page up to date. Without it a page is what it was when it was loaded.
(() => {
  "use strict";
  const part = document.getElementById("live");
  if (!part || !part.dataset.live || !window.EventSource) return;
  const sentence = document.getElementById("sentence");
  const note = document.getElementById("live-note");
  let waiting = null;
  let pressed = false;

  // What somebody reads out, marks, presses or fills in stays where it is.
  const isUsed = () => {
    const marked = window.getSelection();
    return pressed
      || part.contains(document.activeElement)
      || part.querySelector("details.confirm[open]") !== null
      || (marked !== null && !marked.isCollapsed && part.contains(marked.anchorNode));
  };

  const show = (look) => {
    if (isUsed()) {
      waiting = look;
      note.textContent = " · waits while you are in it";
      return;
    }
    waiting = null;
    note.textContent = " · live";
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

  const later = () => setTimeout(() => { if (waiting) show(waiting); }, 300);
  part.addEventListener("pointerdown", () => { pressed = true; });
  window.addEventListener("pointerup", () => setTimeout(() => { pressed = false; later(); }, 300));
  window.addEventListener("pointercancel", () => { pressed = false; later(); });
  part.addEventListener("focusout", later);

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
