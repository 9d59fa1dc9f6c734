// Lines over the last hour, drawn as SVG. A plot is made once and then told new values.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 560;
const HEIGHT = 176;
const LEFT = 52;
const BOTTOM = 20;
const TOP = 8;

function shape(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

// The least of 1, 2, 2.5, 5 and 10 times a power of ten that is not below.
function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

export class Plot {
  // `series`: {name, pick: (minute) => number or null, fill}. `show` writes a value.
  constructor(figure, { title, series, show, clock, least = 0 }) {
    Object.assign(this, { title, series, show, clock, least, minutes: [], at: null });
    this.key = document.createElement("span");
    this.key.className = "key";
    this.values = series.map((one, index) => {
      const item = document.createElement("span");
      item.className = `s${index}`;
      const value = document.createElement("i");
      item.append(`${one.name} `, value);
      this.key.append(item);
      return value;
    });
    const caption = document.createElement("figcaption");
    const name = document.createElement("span");
    name.textContent = title;
    this.when = document.createElement("span");
    this.when.className = "quiet";
    name.append(" ", this.when);
    caption.append(name, this.key);
    this.svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0" });
    figure.append(caption, this.svg);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.look(null));
    this.svg.addEventListener("blur", () => this.look(null));
    this.svg.addEventListener("keydown", (event) => this.step(event));
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  update(minutes) {
    this.minutes = minutes;
    this.draw();
  }

  width() {
    const box = this.svg.getBoundingClientRect();
    return box.height > 0 ? Math.max(240, (box.width / box.height) * HEIGHT) : WIDTH;
  }

  x(index) {
    return LEFT + (index / Math.max(1, this.minutes.length - 1)) * (this.wide - LEFT - 6);
  }

  y(value) {
    return TOP + (1 - value / this.most) * (HEIGHT - TOP - BOTTOM);
  }

  draw() {
    this.wide = this.width();
    this.svg.setAttribute("viewBox", `0 0 ${this.wide} ${HEIGHT}`);
    const all = this.minutes.flatMap((minute) => this.series.map((one) => one.pick(minute) ?? 0));
    this.most = roundUp(Math.max(this.least, ...all));
    const parts = [];
    for (const part of [0, 0.5, 1]) {
      const y = this.y(this.most * part);
      parts.push(shape("line", { class: "grid", x1: LEFT, x2: this.wide - 6, y1: y, y2: y }));
      parts.push(shape("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, this.show(this.most * part).replace(".0 ", " ")));
    }
    const last = this.minutes.length - 1;
    const marks = last > 0 ? [0, 1, 2, 3, 4].map((part) => Math.round((part * last) / 4)) : [];
    for (const index of new Set(marks)) {
      const anchor = index === last ? "end" : index === 0 ? "start" : "middle";
      parts.push(shape("text", { x: this.x(index), y: HEIGHT - 4, "text-anchor": anchor }, this.clock(this.minutes[index].secs)));
    }
    this.series.forEach((one, index) => parts.push(...this.line(one, index)));
    if (this.at !== null && this.at <= last) {
      const x = this.x(this.at);
      parts.push(shape("line", { class: "cursor", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
      this.series.forEach((one, index) => {
        const value = one.pick(this.minutes[this.at]);
        if (value !== null) parts.push(shape("circle", { class: `s${index}`, cx: x, cy: this.y(value), r: 3.5 }));
      });
    }
    this.svg.replaceChildren(...parts);
    this.say();
  }

  line(one, index) {
    let path = "";
    let area = "";
    let begun = null;
    const points = this.minutes.map((minute) => one.pick(minute));
    const finish = (end) => {
      if (begun === null) return;
      if (begun === end) path += "h0.01";
      area += `L${this.x(end).toFixed(1)} ${this.y(0)}L${this.x(begun).toFixed(1)} ${this.y(0)}Z`;
      begun = null;
    };
    points.forEach((value, at) => {
      if (value === null) return finish(at - 1);
      const step = `${begun === null ? "M" : "L"}${this.x(at).toFixed(1)} ${this.y(value).toFixed(1)}`;
      begun ??= at;
      path += step;
      area += step;
    });
    finish(points.length - 1);
    const line = shape("path", { class: `s${index}`, d: path });
    return one.fill ? [shape("path", { class: `area s${index}`, d: area }), line] : [line];
  }

  // What stands in the caption: the minute that is pointed at, or the last whole one.
  say() {
    const minute = this.minutes[this.at ?? this.minutes.length - 1];
    const texts = this.series.map((one) => {
      const value = minute ? one.pick(minute) : null;
      return value === null ? "–" : this.show(value);
    });
    texts.forEach((text, index) => {
      if (this.values[index].textContent !== text) this.values[index].textContent = text;
    });
    this.when.textContent = this.at === null || !minute ? "" : this.clock(minute.secs);
    const said = this.series.map((one, index) => `${one.name} ${texts[index]}`).join(", ");
    this.svg.setAttribute("aria-label", `${this.title}${minute ? ` at ${this.clock(minute.secs)}` : ""}: ${said}. Arrow keys go through the minutes.`);
  }

  look(at) {
    if (at === this.at) return;
    this.at = at;
    this.draw();
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.wide;
    const last = this.minutes.length - 1;
    const at = Math.round(((x - LEFT) / (this.wide - LEFT - 6)) * last);
    this.look(last < 0 ? null : Math.min(last, Math.max(0, at)));
  }

  step(event) {
    const last = this.minutes.length - 1;
    const at = this.at ?? last;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") return this.look(null);
    if (to === undefined || last < 0) return undefined;
    event.preventDefault();
    return this.look(Math.min(last, Math.max(0, to)));
  }
}
