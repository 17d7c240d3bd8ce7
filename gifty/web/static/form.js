// The answers: between the form, the page's address and the body of a request.

export const form = document.getElementById("finder");

const TEXTS = ["about", "min", "max"];
const number = (text) => Number(text.replace(/\D/g, "")) || null;

/** The answers as query parameters, in the order of the questions; nothing for what was not answered. */
export function parameters(shown, usual) {
  const found = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const text = name === "min" || name === "max" ? String(number(value) ?? "") : value.trim();
    if (text && name !== "lang") found.append(name, text);
  }
  if (shown !== usual) found.set("show", shown);
  const lang = form.elements.lang?.value;
  if (lang) found.set("lang", lang);
  return found;
}

/** The body of POST /api/v1/recommendations/generate. */
export function brief(language, shown) {
  const body = { language, top_n: shown };
  for (const input of form.querySelectorAll("[data-brief]:checked")) Object.assign(body, JSON.parse(input.dataset.brief));
  const answers = new FormData(form);
  const interests = answers.getAll("interest");
  if (interests.length) body.interests = interests;
  const about = answers.get("about").trim();
  if (about) body.interests_description = about;
  const constraints = {};
  const [low, high, tags] = [number(answers.get("min")), number(answers.get("max")), answers.getAll("wish")];
  if (low) constraints.min_price = low;
  if (high) constraints.max_price = high;
  if (tags.length) constraints.tags = tags;
  if (Object.keys(constraints).length) body.constraints = constraints;
  return body;
}

/** Puts the answers of an address into the form. */
export function restore(search) {
  for (const input of form.elements) {
    if (input.type === "radio" || input.type === "checkbox") input.checked = search.getAll(input.name).includes(input.value);
    else if (TEXTS.includes(input.name)) input.value = search.get(input.name) ?? "";
  }
}

/** The answers as a title. */
export function heading(results) {
  const said = { start: results.start };
  for (const input of form.querySelectorAll("[data-phrase]:checked")) said[input.name] = input.dataset.phrase;
  const line = results.heading.replace(/\{(\w+)\}/g, (_, name) => said[name] ?? "").replace(/\s+/g, (gap) => gap.includes("\u00a0") ? gap : " ").trim();
  return line[0].toUpperCase() + line.slice(1);
}

/** How many refinements are set. */
export function refined() {
  const answers = new FormData(form);
  return answers.getAll("wish").length + (number(answers.get("min")) ? 1 : 0) + (number(answers.get("max")) ? 1 : 0);
}

/** Takes the refinements back. */
export function unrefine() {
  for (const input of form.elements) {
    if (input.name === "wish") input.checked = false;
    if (input.name === "min" || input.name === "max") input.value = "";
  }
}

/** What a question has been answered with, in the words of its chips. */
export function picked(question) {
  const words = [...question.querySelectorAll(":checked")].map((input) => input.labels[0].textContent);
  const text = question.querySelector("input[type=text]")?.value.trim();
  return [...words, ...(text ? [text] : [])].join(", ");
}
