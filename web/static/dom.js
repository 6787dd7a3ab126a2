// Makes elements. Data enters the page as text nodes and attributes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/** An element with attributes, `on…` handlers and children (strings become text). */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** The element of an id that index.html has. */
export function byId(id) {
  return document.getElementById(id);
}

/** A small line chart of values in [low, high]; purely an ornament beside the number it belongs to. */
export function sparkline(values, low, high) {
  const [width, height] = [96, 24];
  const y = (v) => (height - 2 - ((Math.min(high, Math.max(low, v)) - low) / (high - low)) * (height - 4)).toFixed(1);
  const x = (i) => (values.length < 2 ? width : (i / (values.length - 1)) * width).toFixed(1);
  const chart = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  if (values.length > 1) chart.append(svg("polyline", { points: values.map((v, i) => `${x(i)},${y(v)}`).join(" ") }));
  return chart;
}
