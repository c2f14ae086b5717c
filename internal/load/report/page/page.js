"use strict";
// Shows the values under the pointer. The page is complete without it.
for (const run of document.querySelectorAll("[data-hover]")) {
  const data = JSON.parse(run.querySelector('script[type="application/json"]').textContent);
  const boxes = [...run.querySelectorAll(".box.axis")];
  if (!data.rows || boxes.length === 0) continue;
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  run.append(tip);
  const crosses = boxes.map((box) => {
    const cross = document.createElement("div");
    cross.className = "cross";
    cross.hidden = true;
    box.append(cross);
    return cross;
  });
  const count = data.rows[0].values.length;
  const show = (at) => {
    tip.replaceChildren();
    const head = document.createElement("b");
    head.textContent = Math.round(at * data.length * 10) / 10 + " s";
    tip.append(head);
    for (const row of data.rows) {
      if (!row.values[at]) continue;
      const line = document.createElement("div");
      const label = document.createElement("span");
      const swatch = document.createElement("i");
      line.className = "s-" + row.class;
      label.append(swatch, row.label);
      const value = document.createElement("span");
      value.textContent = row.values[at];
      line.append(label, value);
      tip.append(line);
    }
  };
  const place = (box, event) => {
    const inside = box.getBoundingClientRect();
    const around = run.getBoundingClientRect();
    const share = (event.clientX - inside.left) / inside.width;
    const at = Math.floor((share * data.total) / data.length);
    if (at < 0 || at >= count) return hide();
    show(at);
    for (const cross of crosses) {
      cross.hidden = false;
      cross.style.left = Math.min((at + 0.5) * data.length / data.total, 1) * 100 + "%";
    }
    tip.hidden = false;
    const x = event.clientX - around.left;
    const right = x + 24 + tip.offsetWidth > run.clientWidth;
    tip.style.left = (right ? Math.max(x - tip.offsetWidth - 16, 0) : x + 16) + "px";
    tip.style.top = Math.max(event.clientY - around.top - 24, 0) + "px";
  };
  const hide = () => {
    tip.hidden = true;
    for (const cross of crosses) cross.hidden = true;
  };
  for (const box of boxes) {
    box.addEventListener("pointermove", (event) => place(box, event));
    box.addEventListener("pointerleave", hide);
  }
}
