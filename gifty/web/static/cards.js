// Draws gifts as cards, the way the server's card.html does.

const words = JSON.parse(document.getElementById("words").textContent);
const said = words.results;
const lang = document.documentElement.lang;
const drawings = new Map(words.drawings.flatMap(([name, tone, stems]) => stems.split(" ").map((stem) => [stem, { name, tone }])));
const SIGNS = { RUB: "₽", USD: "$", EUR: "€", GBP: "£", KZT: "₸", UAH: "₴", TRY: "₺" };
const MOST_REASONS = 2;
const SVG = "http://www.w3.org/2000/svg";

export { words };

/** `1 999 ₽`; kopecks only where there are any. */
export function money(amount, currency = "RUB") {
  const places = amount % 1 ? 2 : 0;
  const parts = new Intl.NumberFormat(lang, { minimumFractionDigits: places, maximumFractionDigits: places, useGrouping: "always" });
  return `${parts.format(amount)}\u00a0${SIGNS[currency] ?? currency}`;
}

/** `12 ideas`, in the right plural form. */
export function count(number) {
  const form = new Intl.PluralRules(lang).select(number);
  return (words.states[`count_${form}`] ?? words.states.count_many).replace("{}", number);
}

/** An element; text goes in as text, never as markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null && value !== false) element.setAttribute(name, value === true ? "" : value);
  element.append(...children.filter((child) => child != null && child !== ""));
  return element;
}

/** One of our drawings. */
export function art(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "art");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${words.sprite}#${name}`);
  svg.append(use);
  return svg;
}

/** Puts the gifts into the list; cards that stay are left alone, so that nothing flickers. */
export function show(list, gifts) {
  const before = new Map([...list.children].map((card) => [card.dataset.id, card]));
  gifts.forEach((gift, place) => {
    const text = JSON.stringify([gift, place === 0]);
    const old = before.get(gift.gift_id);
    const same = old && (old.dataset.text === text || (!old.dataset.text && alike(old, gift, place === 0)));
    const card = same ? old : draw(gift, place === 0);
    if (!same && !old) card.classList.add("fresh");
    card.dataset.text = text;
    if (old && !same) old.replaceWith(card);
    if (list.children[place] !== card) list.insertBefore(card, list.children[place] ?? null);
    before.delete(gift.gift_id);
  });
  for (const card of before.values()) card.remove();
}

/** Notices pictures that came and those that did not. */
export function watchPictures(list) {
  const settle = (image, came) => came ? image.parentElement.classList.add("seen") : image.remove();
  list.addEventListener("load", ({ target }) => target.tagName === "IMG" && settle(target, true), true);
  list.addEventListener("error", ({ target }) => target.tagName === "IMG" && settle(target, false), true);
  for (const image of list.querySelectorAll("img")) if (image.complete) settle(image, image.naturalWidth > 0);
}

function alike(card, gift, first) {
  return card.classList.contains("first") === first && card.querySelector("h3").textContent === gift.title
    && [...card.querySelectorAll(".why li")].map((line) => line.textContent).join() === (gift.reasons ?? []).slice(0, MOST_REASONS).join();
}

function draw(gift, first) {
  const { name, tone } = drawing(`${gift.title} ${gift.category ?? ""}`);
  const url = webAddress(gift.product_url);
  const image = webAddress(gift.image_url);
  const [promotion] = gift.promotions ?? [];
  const reasons = (gift.reasons ?? []).slice(0, MOST_REASONS);
  return make("li", { class: ["card", first && "first", gift.is_idea && "idea"].filter(Boolean).join(" "), "data-id": gift.gift_id },
    make("div", { class: `pic ${tone}` },
      art(name),
      image && make("img", { src: image, alt: "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer" }),
      gift.is_idea && make("span", { class: "tag" }, said.idea) || ""),
    make("div", { class: "say" },
      first ? make("p", { class: "spot" }, said.featured) : "",
      make("h3", {}, make("a", { lang: lang !== "ru" && /[а-яё]/i.test(gift.title) && "ru", ...(url && { href: url, target: "_blank", rel: "noopener nofollow" }) }, gift.title)),
      reasons.length ? make("div", { class: "why" }, make("p", {}, said.why), make("ul", {}, ...reasons.map((reason) => make("li", {}, reason)))) : "",
      promotion ? coupon(promotion) : "",
      make("p", { class: "buy" },
        price(gift),
        url && make("span", { class: "go" }, go(gift), make("span", { class: "unseen" }, `, ${said.new_tab}`)))));
}

function price(gift) {
  const known = gift.price != null;
  const shown = known ? money(gift.price, gift.currency) : said.no_price;
  const fell = known && gift.old_price > gift.price;
  return make("span", { class: "price" }, gift.is_idea && known ? said.idea_price.replace("{}", shown) : shown,
    fell ? " " : "", fell ? make("s", {}, make("span", { class: "unseen" }, `${said.was}: `), money(gift.old_price, gift.currency)) : "");
}

function go(gift) {
  if (gift.is_idea) return said.search;
  return gift.merchant ? said.open_at.replace("{}", gift.merchant) : said.open;
}

function coupon({ title, coupon: code, discount, ends_at: ends }) {
  const day = ends ? new Date(ends).toLocaleDateString("ru", { timeZone: "UTC" }) : "";
  return make("p", { class: "coupon" }, said.coupon, code ? " " : "", code ? make("code", {}, code) : "", " ",
    make("span", {}, discount || title || "", day ? ` · ${said.until.replace("{}", day)}` : ""));
}

function drawing(text) {
  for (const word of text.toLowerCase().replaceAll("ё", "е").match(/[\p{L}\p{N}_-]+/gu) ?? []) {
    for (let end = word.length; end > 1; end -= 1) {
      const found = drawings.get(word.slice(0, end));
      if (found) return found;
    }
  }
  return { name: "gift", tone: "rose" };
}

function webAddress(url) {
  return /^https?:\/\//i.test(url ?? "") ? url : "";
}
