"use strict";
// Show the values below the pointer, or with the arrow keys.
for (const plot of document.querySelectorAll(".plot")) {
  const { axes, x: xLabel, dots, lines } = JSON.parse(plot.querySelector("script").textContent);
  const place = (value, [low, high, log]) => {
    const f = log ? Math.log10 : (v) => v;
    return (f(value) - f(low)) / (f(high) - f(low));
  };
  const text = (value) => String(Number(value.toPrecision(5))).replace("-", "−");
  const cursor = document.createElement("div");
  const readout = document.createElement("div");
  cursor.className = "cursor";
  readout.className = "readout";
  readout.setAttribute("role", "status");
  const stops = [...new Set(lines.flatMap((line) => line.points[0]))].sort((a, b) => a - b);
  let stop = -1;

  // The position of the nearest of some sorted values.
  const nearest = (values, value) => {
    let low = 0;
    let high = values.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (values[middle] <= value) low = middle; else high = middle;
    }
    return value - values[low] <= values[high] - value ? low : high;
  };
  const row = (content, color) => {
    const p = document.createElement("p");
    if (color !== undefined) p.append(document.createElement("i"));
    if (color !== undefined) p.className = `c${color}`;
    p.append(content);
    return p;
  };
  const show = (at, rows) => {
    const share = place(at, axes[0]);
    cursor.style.left = `${100 * share}%`;
    readout.style.left = share < 0.5 ? `calc(${100 * share}% + 10px)` : "auto";
    readout.style.right = share < 0.5 ? "auto" : `calc(${100 - 100 * share}% + 10px)`;
    readout.replaceChildren(...rows);
    plot.append(cursor, readout);
  };
  const hide = () => { cursor.remove(); readout.remove(); };
  const showStop = (at) => {
    const rows = [row(`${xLabel} ${text(at)}`)];
    for (const { name, color, points: [xs, ys] } of lines) {
      if (!xs.length) continue;
      const i = nearest(xs, at);
      const where = xs[i] === at ? "" : ` (${xLabel} ${text(xs[i])})`;
      rows.push(row(`${name}: ${text(ys[i])}${where}`, color));
    }
    show(at, rows.slice(0, 14));
  };
  const showDot = (event, box) => {
    const [px, py] = [(event.clientX - box.left) / box.width, (box.bottom - event.clientY) / box.height];
    let found = null;
    for (const { name, color, points: [xs, ys] } of lines) {
      xs.forEach((x, i) => {
        const [dx, dy] = [place(x, axes[0]) - px, place(ys[i], axes[1]) - py];
        const far = dx * dx + dy * dy;
        if (!found || far < found.far) found = { far, x, y: ys[i], name, color };
      });
    }
    if (found) show(found.x, [row(`${xLabel} ${text(found.x)}`), row(`${found.name}: ${text(found.y)}`, found.color)]);
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    if (!stops.length || event.clientY > box.bottom) return;
    if (dots) return showDot(event, box);
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    stop = nearest(stops, axes[0][0] + share * (axes[0][1] - axes[0][0]));
    showStop(stops[stop]);
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") hide();
    if (!move || !stops.length) return;
    event.preventDefault();
    stop = Math.min(stops.length - 1, Math.max(0, stop + move));
    showStop(stops[stop]);
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
