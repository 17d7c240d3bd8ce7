// Before the first paint: the language and the theme that were chosen here before.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const theme = kept("gifty.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const url = new URL(location.href);
  const lang = kept("gifty.lang");
  if ((lang === "ru" || lang === "en") && lang !== root.lang && !url.searchParams.has("lang")) {
    url.searchParams.set("lang", lang);
    location.replace(url);
  }
})();
