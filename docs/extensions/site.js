// What the theme's own script leaves out for those who use a keyboard or a screen reader.
function nameWhatIsThere() {
  for (const region of document.querySelectorAll(".md-typeset__scrollwrap")) region.tabIndex = 0;
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
}

document.addEventListener("DOMContentLoaded", () => {
  nameWhatIsThere();
  // Wide tables become regions that scroll after the page is there.
  new MutationObserver(nameWhatIsThere).observe(document.body, { childList: true, subtree: true });
});
