// The gift finder: every tap is answered at once, and the page's address keeps the answers.

import { art, count, make, show, watchPictures, words } from "./cards.js";
import { brief, form, heading, parameters, picked, refined, restore, unrefine } from "./form.js";

const ADDRESS = "/api/v1/recommendations/generate";
const TAP_MS = 120;
const TYPE_MS = 500;
const SLOW_MS = 2500;
const LATE_MS = 15000;
const MOST_WAIT_S = 30;

const $ = (id) => document.getElementById(id);
const { states, results: said } = words;
const [section, list, status, notice] = [$("results"), $("cards"), $("status"), $("notice")];
const questions = [...form.querySelectorAll(".q")];
const narrow = matchMedia("(max-width: 43.99rem)");

let shown = Number(new URLSearchParams(location.search).get("show")) || words.shown;
shown = Math.min(shown, words.most);
let asking = null;
let timers = [];

// Asking

function soon(ms) {
  clearTimeout(soon.timer);
  soon.timer = setTimeout(ask, ms);
}

function quiet() {
  timers.forEach(clearTimeout);
  timers = [];
}

function after(ms, act) {
  timers.push(setTimeout(act, ms));
}

async function ask() {
  asking?.abort();
  quiet();
  const request = asking = new AbortController();
  section.setAttribute("aria-busy", "true");
  after(SLOW_MS, () => { section.dataset.slow = ""; status.textContent = states.slow; });
  after(LATE_MS, () => request.abort("late"));
  let outcome;
  try {
    const response = await fetch(ADDRESS, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(brief(document.documentElement.lang, shown)),
      signal: request.signal,
    });
    outcome = response.ok ? () => settle(answer) : () => refuse(response, answer);
    const answer = await response.json().catch(() => { if (response.ok) throw new SyntaxError("no JSON"); return {}; });
  } catch (error) {
    if (request.signal.aborted && request.signal.reason !== "late") return;
    const kind = request.signal.aborted ? "late" : error instanceof SyntaxError ? "error" : "offline";
    outcome = () => trouble(kind, { retry: kind === "offline" ? 10 : 0 });
  }
  if (request !== asking) return;
  quiet();
  asking = null;
  section.removeAttribute("aria-busy");
  delete section.dataset.slow;
  outcome();
}

function settle(answer) {
  const state = answer.gifts.length ? "ready" : refined() ? "empty" : "bare";
  section.dataset.state = state;
  notice.replaceChildren();
  show(list, answer.gifts);
  status.textContent = answer.gifts.length ? count(answer.gifts.length) : "";
  const relaxed = answer.relaxed ?? [];
  $("relaxed").hidden = !relaxed.length;
  $("relaxed").lastElementChild.replaceChildren(...relaxed.map(({ message }) => make("li", {}, message)));
  $("more").hidden = answer.gifts.length < shown || shown >= words.most;
  $("jump").textContent = answer.gifts.length ? count(answer.gifts.length) : $("heading").textContent;
  if (state !== "ready") trouble(state);
}

function refuse(response, answer) {
  const wait = Number(response.headers.get("Retry-After")) || 5;
  if (response.status === 429) trouble("busy", { retry: wait });
  else if (response.status === 503) trouble("away", { retry: wait });
  else if (response.status === 422) trouble("wrong");
  else trouble("error", { number: answer.error?.request_id });
}

/** Says what is wrong and offers a way on; what was there before stays. */
function trouble(kind, { retry = 0, number = "" } = {}) {
  section.dataset.state = kind;
  status.textContent = $("jump").textContent = states[`${kind}_title`];
  const loosen = kind === "empty" || kind === "wrong";
  const way = make("button", { type: "button", class: "main" }, loosen ? words.clear : states.retry);
  way.addEventListener("click", loosen ? clearRefinements : ask);
  const countdown = make("span", { class: "wait" });
  const [kept, bare] = [list.children.length > 0, kind === "bare"];
  const text = [states[`${kind}_text`], number, kept ? states.stale : ""].filter(Boolean).join(" ");
  notice.replaceChildren(make("div", { class: kept ? "notice" : "notice alone" },
    art({ offline: "telescope", away: "moon", late: "moon", busy: "cup", error: "tools" }[kind] ?? "gift"),
    make("div", {}, make("h3", {}, states[`${kind}_title`]), make("p", {}, text), bare ? "" : make("p", {}, way, " ", countdown))));
  $("more").hidden = true;
  if (retry) tick(Math.min(retry, MOST_WAIT_S), countdown);
}

function tick(seconds, countdown) {
  countdown.textContent = states.retry_in.replace("{}", seconds);
  after(1000, () => (seconds > 1 ? tick(seconds - 1, countdown) : ask()));
}

// Answering

function reflect() {
  const title = heading(said);
  $("heading").textContent = title;
  document.title = form.querySelector("[data-phrase]:checked") ? `${title} — Gifty` : words.title;
  const set = refined();
  $("refined").hidden = $("clear").hidden = !set;
  $("refined").textContent = set;
  const search = parameters(shown, words.shown);
  const other = new URLSearchParams(search);
  other.set("lang", $("lang").dataset.lang);
  $("lang").search = other;
  for (const question of questions) question.querySelector(".picked").textContent = picked(question);
  search.set("show", Math.min(shown + words.step, words.most));
  $("more").search = search;
}

function remember(push) {
  const search = parameters(shown, words.shown).toString();
  const url = search ? `/?${search}` : "/";
  if (url === location.pathname + location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", url);
}

function changed({ push = true, ms = TAP_MS } = {}) {
  remember(push);
  reflect();
  soon(ms);
}

function clearRefinements() {
  unrefine();
  changed({ ms: 0 });
}

// A second tap on a chosen answer takes it back.
let chosen = null;
const note = ({ target }) => {
  const input = target.closest?.(".chip")?.querySelector("input[type=radio]");
  chosen = input?.checked ? input : null;
};
form.addEventListener("pointerdown", note);
form.addEventListener("keydown", (event) => {
  if (event.key === " ") note(event);
  else if (event.key.startsWith("Arrow")) chosen = null;
  if (event.key === "Enter" && event.target.matches("input")) { event.preventDefault(); soon(0); }
});
form.addEventListener("click", (event) => {
  const input = event.target;
  if (input.type === "radio" && input === chosen) {
    input.checked = false;
    chosen = null;
    changed();
  } else if (input.type === "radio" && event.detail && narrow.matches) advance(input.closest(".q"));
});

document.addEventListener("change", ({ target }) => {
  if (target.form === form && (target.type === "radio" || target.type === "checkbox")) {
    shown = words.shown;
    changed();
  }
});
document.addEventListener("input", ({ target }) => {
  if (target.form === form && target.type === "text") changed({ push: false, ms: TYPE_MS });
});
form.addEventListener("submit", (event) => { event.preventDefault(); soon(0); });
addEventListener("popstate", () => {
  const search = new URLSearchParams(location.search);
  shown = Number(search.get("show")) || words.shown;
  restore(search);
  reflect();
  soon(0);
});
addEventListener("online", () => { if (section.dataset.state === "offline") ask(); });

$("clear").addEventListener("click", clearRefinements);
$("restart").addEventListener("click", (event) => {
  event.preventDefault();
  restore(new URLSearchParams());
  shown = words.shown;
  changed({ ms: 0 });
  if (narrow.matches) fold(questions[0]);
});
$("more").addEventListener("click", (event) => {
  event.preventDefault();
  shown = Math.min(shown + words.step, words.most);
  changed({ push: false, ms: 0 });
});
$("share").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    status.textContent = said.shared;
  } catch {
    prompt(said.share, location.href);
  }
});

// On a phone one question is open at a time.

function fold(open) {
  for (const question of questions) {
    const button = question.querySelector(".fold");
    button.disabled = !narrow.matches;
    question.toggleAttribute("data-open", question === open);
    if (narrow.matches) button.setAttribute("aria-expanded", question === open);
    else button.removeAttribute("aria-expanded");
  }
}

function advance(question) {
  const next = questions.slice(questions.indexOf(question) + 1).find((later) => !picked(later));
  setTimeout(() => fold(next), 180);
}

for (const question of questions) {
  question.querySelector(".fold").addEventListener("click", () => fold(question.hasAttribute("data-open") ? null : question));
}
narrow.addEventListener("change", () => fold(questions.find((question) => !picked(question))));
new IntersectionObserver(([{ isIntersecting }]) => { $("jump").hidden = isIntersecting || scrollY > section.offsetTop; }).observe(section.querySelector(".head"));

// Theme and language

const themes = ["auto", "light", "dark"];
const root = document.documentElement;
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* storage is off: it holds for this page */ } };
const nameTheme = () => {
  const name = words.theme[root.dataset.theme ?? "auto"];
  $("theme").setAttribute("aria-label", name);
  $("theme").title = name;
};
$("theme").addEventListener("click", () => {
  const next = themes[(themes.indexOf(root.dataset.theme ?? "auto") + 1) % themes.length];
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  keep("gifty.theme", next);
  nameTheme();
});
$("lang").addEventListener("click", () => keep("gifty.lang", $("lang").dataset.lang));
nameTheme();
$("theme").hidden = $("share").hidden = false;

watchPictures(list);
reflect();
fold(questions.find((question) => !picked(question)));
if (status.textContent) $("jump").textContent = status.textContent;
if (["late", "away", "error"].includes(section.dataset.state)) ask();
