"use strict";
// Without this script the page is whole: it only filters and opens.
(function () {
  const claims = Array.from(document.querySelectorAll(".claim"));
  const texts = claims.map(function (claim) { return claim.textContent.toLowerCase(); });
  const search = document.getElementById("search");
  const boxes = Array.from(document.querySelectorAll("#filter input[type=checkbox][value]"));
  const news = document.getElementById("news");
  const shown = document.getElementById("shown");

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(boxes.filter(function (box) { return box.checked; }).map(function (box) { return box.value; }));
    let count = 0;
    claims.forEach(function (claim, number) {
      const told = news && news.checked && "known" in claim.dataset;
      const fits = !told && wanted.has(claim.dataset.verdict) && words.every(function (word) { return texts[number].includes(word); });
      claim.hidden = !fits;
      count += fits ? 1 : 0;
    });
    document.querySelectorAll(".topic, .mode").forEach(function (part) {
      part.hidden = !part.querySelector(".claim:not([hidden])");
    });
    shown.textContent = count + " of " + claims.length + " shown";
  }

  function open() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.matches(".claim")) {
      if (target.hidden) {
        search.value = "";
        boxes.forEach(function (box) { box.checked = true; });
        if (news) { news.checked = false; }
        filter();
      }
      target.open = true;
      target.scrollIntoView();
    }
  }

  // A count on the first screen leads to the claims that it is about.
  document.querySelectorAll("[data-only]").forEach(function (link) {
    link.addEventListener("click", function () {
      search.value = "";
      boxes.forEach(function (box) { box.checked = box.value === link.dataset.only; });
      if (news) { news.checked = false; }
      filter();
    });
  });

  if (search) {
    search.addEventListener("input", filter);
    boxes.concat(news || []).forEach(function (box) { box.addEventListener("change", filter); });
    filter();
  }
  document.getElementById("save").addEventListener("click", function () {
    const kept = document.getElementById("results").textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([kept], { type: "application/json" }));
    link.download = "results.json";
    link.click();
  });
  window.addEventListener("hashchange", open);
  // Paper cannot be opened: what does not hold is printed whole, but for what stands under its cause.
  window.addEventListener("beforeprint", function () {
    claims.forEach(function (claim) { claim.open = claim.open || (claim.dataset.verdict !== "holds" && !claim.dataset.cause); });
  });
  open();
})();
