"use strict";
// Without this script the page is whole: it only filters.
(function () {
  const rows = Array.from(document.querySelectorAll("#hosts tbody tr"));
  const texts = rows.map(function (row) { return row.textContent.toLowerCase(); });
  const beside = new Map(Array.from(document.querySelectorAll("#matrix tbody tr"), function (row) { return [row.dataset.host, row]; }));
  const names = Array.from(document.querySelectorAll("#matrix thead th[scope=col] span"), function (name) { return name.dataset.claims.toLowerCase(); });
  const search = document.getElementById("search");
  const claims = document.getElementById("claims");
  const boxes = Array.from(document.querySelectorAll("#filter input[type=checkbox]"));
  const shown = document.getElementById("shown");
  const hidden = document.head.appendChild(document.createElement("style"));

  function words(field) {
    return field.value.toLowerCase().split(/\s+/).filter(Boolean);
  }

  function filterHosts() {
    const wanted = new Set(boxes.filter(function (box) { return box.checked; }).map(function (box) { return box.value; }));
    const asked = words(search);
    let count = 0;
    rows.forEach(function (row, number) {
      const fits = wanted.has(row.dataset.standing) && asked.every(function (word) { return texts[number].includes(word); });
      row.hidden = !fits;
      if (beside.has(row.dataset.host)) { beside.get(row.dataset.host).hidden = !fits; }
      count += fits ? 1 : 0;
    });
    shown.textContent = count + " of " + rows.length + " hosts shown";
  }

  function filterClaims() {
    const asked = words(claims);
    const left = [];
    names.forEach(function (name, number) {
      if (!asked.every(function (word) { return name.includes(word); })) { left.push("#matrix tr > :nth-child(" + (number + 2) + ")"); }
    });
    hidden.textContent = left.length ? left.join(",") + "{display:none}" : "";
  }

  search.addEventListener("input", filterHosts);
  boxes.forEach(function (box) { box.addEventListener("change", filterHosts); });
  if (claims) { claims.addEventListener("input", filterClaims); }
  filterHosts();
})();
