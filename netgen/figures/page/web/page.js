"use strict";
// What the programs of all pages share. Text from outside is only ever set as text.

const data = JSON.parse(document.getElementById("data").textContent);
document.documentElement.classList.add("alive");

const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en-US");
const MIB = 1048576;
const bytes = (value) =>
  `${number(value)} bytes` + (value >= MIB / 10 ? ` (${(value / MIB).toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} MiB)` : "");

// An element with attributes and children; a child that is no element becomes text.
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// The words that were entered in a field, in lower case.
const wordsIn = (field) => field.value.toLowerCase().split(/\s+/).filter(Boolean);

// Does something now, and once more when the page is shown: a browser that goes back fills in what was entered and
// chosen there, without a word, and only after the programs ran.
function nowAndWhenShown(act) {
  act();
  window.addEventListener("pageshow", () => act());
}

// Calls `filter` at the beginning, and when a form's fields change or are reset; a browser tells of that before it does
// it, so it is done here.
function filterBy(form, filter) {
  form.addEventListener("input", filter);
  form.querySelector("[type=reset]").addEventListener("click", (event) => {
    event.preventDefault();
    form.reset();
    filter();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  nowAndWhenShown(filter);
}

// The name of the element that the address leads to; "" where it is none.
function addressed() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}
