// Brings the page to life: what it holds, what its link says, and who listens to whom.
"use strict";

(() => {
  const live = JSON.parse(document.getElementById("live").textContent);
  const linked = state.read(location.hash);
  const values = { hide: linked.hide };

  tables.begin(document);
  charts.begin(live.repeat, linked.hide, (figure, names) => {
    values.hide = { ...values.hide, [figure]: names };
    state.write(values);
  });
  controls.begin(live, linked, (differing) => {
    for (const name of ["margin", "loss_margin", "price", "deadline"]) {
      delete values[name];
    }
    Object.assign(values, differing);
    state.write(values);
  });
  // A link to another state of the same page is opened in place.
  window.addEventListener("hashchange", () => {
    if (location.hash.includes("=")) {
      location.reload();
    }
  });
})();
