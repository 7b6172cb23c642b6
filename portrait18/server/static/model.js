// What the networks were trained on, how they scored, and their limits, from /model.

const TASKS = { mask: "Mask", gender: "Gender", age: "Age group", all: "18 classes" };

function add(parent, tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

const number = (value) => value.toLocaleString("en");
const score = (value) => (typeof value === "number" ? value.toFixed(2) : "not measured");

/** Fill the section on the model with the facts of /model. */
export function showModel(card) {
  const { about, people, photos } = card.training_set;
  const data = `${number(photos)} photos of ${number(people)} people`;
  document.getElementById("trained").textContent = `Trained on ${data}.`;
  const sentence = about && `${about[0].toUpperCase()}${about.slice(1).replace(/\.$/, "")}.`;
  document.getElementById("about").textContent = sentence;
  const limits = document.getElementById("limits");
  limits.replaceChildren();
  for (const text of [...card.limits, card.notes].filter(Boolean)) add(limits, "li", text);
  showScores(card.validation);
  const section = document.getElementById("model");
  section.classList.toggle("limited", card.limits.length > 0);
  section.hidden = false;
}

function showScores({ people, scores }) {
  const table = document.getElementById("scores");
  table.hidden = Object.keys(scores).length === 0;
  if (people) table.querySelector(".people").textContent = `${number(people)} people`;
  const rows = table.tBodies[0];
  rows.replaceChildren();
  for (const [name, title] of Object.entries(TASKS)) {
    if (!scores[name]) continue;
    const row = add(rows, "tr", "");
    add(row, "th", title).scope = "row";
    add(row, "td", score(scores[name].macro_f1));
    add(row, "td", score(scores[name].accuracy));
  }
}
