// Values as people read them. What a peer chose is text and stays text.

const units = ["B", "kB", "MB", "GB", "TB", "PB"];

export function bytes(value) {
  let unit = 0;
  let rest = value;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 99.5 ? 0 : 1;
  return `${rest.toFixed(digits)} ${units[unit]}`;
}

export function count(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

// How often in a minute: small numbers keep a digit.
export function rate(value) {
  return value > 0 && value < 9.95 ? value.toFixed(1) : count(value);
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 48 * 3600) return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
  return `${count(Math.floor(whole / 86400))} days`;
}

export function millis(value) {
  if (value < 1) return `${Math.round(value * 1000)} µs`;
  if (value < 100) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  return `${(value / 1000).toFixed(1)} s`;
}

const two = (value) => value.toString().padStart(2, "0");

export function clock(seconds) {
  const time = new Date(seconds * 1000);
  return `${two(time.getHours())}:${two(time.getMinutes())}`;
}

export function moment(seconds, now) {
  const time = new Date(seconds * 1000);
  const day = time.toDateString() === new Date(now * 1000).toDateString()
    ? "" : `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} `;
  return `${day}${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

export function plural(value, one, many) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

// Signs that would hide, turn round or break what stands beside them are shown as what they are.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
// No script needs more marks over one letter.
const piled = /(\p{M}{2})\p{M}+/gu;

export function plain(text, most = 80) {
  const letters = Array.from(String(text).slice(0, 4 * most).replace(unsafe, "�").replace(piled, "$1"));
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : letters.join("");
}
