// The settings that a reader changes, and the decision that follows from them, in the words of the page.
"use strict";

const controls = (() => {
  const HOUR = 3600;
  const FIELDS = ["margin", "loss_margin", "price", "deadline"];
  const DOUBT = "not known";

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text) {
      made.textContent = text;
    }
    if (className) {
      made.className = className;
    }
    return made;
  }

  function number(value, digits = 3) {
    return value === null || Number.isNaN(value) ? DOUBT
      : new Intl.NumberFormat("en", { maximumSignificantDigits: digits }).format(value);
  }

  // A value with the ends of its interval, to two digits of the interval's half width.
  function withEnds([value, low, high]) {
    if (value === null || low === null || high === null || !(high > low)) {
      return number(value);
    }
    const places = Math.max(0, 1 - Math.floor(Math.log10(Math.max(value - low, high - value, 1e-12) * 1.005)));
    const format = new Intl.NumberFormat("en", places > 8 ? { maximumSignificantDigits: 3 }
      : { minimumFractionDigits: places, maximumFractionDigits: places });
    return `${format.format(value)} (${format.format(low)} to ${format.format(high)})`;
  }

  function duration(seconds) {
    if (seconds === null || !Number.isFinite(seconds)) {
      return DOUBT;
    }
    if (seconds < 100) {
      return `${number(seconds)} s`;
    }
    const minutes = Math.floor(Math.round(seconds) / 60);
    return minutes < 100 ? `${minutes} min ${Math.round(seconds) % 60} s`
      : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  function money(value) {
    return value === null ? "no price" : number(value);
  }

  function probability(value) {
    if (Number.isNaN(value)) {
      return "";
    }
    return value < 0.0001 ? "below 0.0001" : number(value, 2);
  }

  function replicas(count) {
    return count === null ? "an unknown number of replicas" : `${count} replica${count === 1 ? "" : "s"}`;
  }

  function within(table, found) {
    return table.percent ? `${number(100 * found.margin)} points` : `${number(found.margin)} of loss`;
  }

  function answer(table, found) {
    if (!found.option) {
      return `Nothing is recommended. ${found.refused}`;
    }
    const one = found.option;
    const why = one.batch === table.reference_batch
      ? `No larger batch is taken at a margin of ${within(table, found)}.`
      : `It loses less than ${within(table, found)} against batch ${number(table.tested_against, 9)}`
        + `${Number.isNaN(one.p) ? "" : ` (p = ${probability(one.p)})`}.`;
    return `Batch ${number(one.batch, 9)}, learning rate ${one.rate} (${one.rule}), on ${replicas(one.replicas)}`
      + `${one.placement ? ` (${one.placement})` : ""}: test ${table.outcome} ${one.test}. ${why}`;
  }

  function cost(found) {
    const one = found.option;
    if (!one || one.seconds[0] === null) {
      return "";
    }
    const price = one.money === null ? "" : `, ${money(one.money)} in money`;
    return `One training takes ${duration(one.seconds[0])}, ${number(one.hours[0])} device-hours${price} `
      + `(${one.timed}).`;
  }

  // What more replicas take and cost at the recommended batch and rule, against the fewest that were timed alike.
  function further(found) {
    if (!found.option) {
      return [];
    }
    const own = found.options.filter((one) => one.batch === found.option.batch && one.rule === found.option.rule
      && one.timed === found.option.timed && one.replicas !== null && one.seconds[0] !== null);
    const fewest = Math.min(...own.map((one) => one.replicas));
    const first = own.find((one) => one.replicas === fewest);
    return own.filter((one) => one.replicas > fewest).map((one) => {
      const saved = (first.seconds[0] - one.seconds[0]) / HOUR;
      const times = `${replicas(one.replicas)} (${one.placement}) train it in ${duration(one.seconds[0])} instead of `
        + `${duration(first.seconds[0])}`;
      if (one.money === null) {
        return `${times}.`;
      }
      const more = one.money - first.money;
      const spent = `${times} and cost ${money(one.money)} instead of ${money(first.money)}`;
      if (more <= 0) {
        return `${spent}: no dearer.`;
      }
      return saved > 0 ? `${spent}: every hour saved costs ${number(more / saved)}.`
        : `${spent}: dearer, and no faster.`;
    });
  }

  function inTime(found, deadline) {
    if (!found.deadline) {
      return "";
    }
    const { option, fastest } = found.deadline;
    if (option) {
      return `Within ${duration(deadline)} the cheapest way is batch ${number(option.batch, 9)} (${option.rule}) on `
        + `${option.placement}: ${duration(option.seconds[0])}, ${number(option.hours[0])} device-hours`
        + `${option.money === null ? "" : `, ${money(option.money)} in money`}.`;
    }
    return Number.isNaN(fastest) ? "No option that may be recommended has a time: none is known to meet the deadline."
      : `No option meets ${duration(deadline)}; the fastest takes ${duration(fastest)}.`;
  }

  function every(table, found) {
    const details = element("details");
    details.append(element("summary", `All ${found.options.length} options at these settings`));
    const scroll = element("div", "", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `Options of ${table.who}`);
    const made = element("table");
    const head = made.createTHead().insertRow();
    const names = ["batch", "rule", "on", "not worse", "adjusted p", "seconds", "device-hours", "money"];
    names.forEach((name, at) => {
      const cell = element("th", name, at === 0 || at > 3 ? "number" : "");
      cell.scope = "col";
      head.append(cell);
    });
    const body = made.createTBody();
    for (const one of found.options) {
      const row = body.insertRow();
      const said = one.leftOut ? "left out" : one.notWorse ? "yes" : "not shown";
      const cells = [number(one.batch, 9), one.rule, one.placement, said, probability(one.p), withEnds(one.seconds),
        withEnds(one.hours), one.money === null ? "" : money(one.money)];
      cells.forEach((text, at) => row.append(element("td", text, at === 0 || at > 3 ? "number" : "")));
      row.classList.toggle("taken", found.option !== null && found.option.at === one.at);
    }
    scroll.append(made);
    details.append(scroll);
    return details;
  }

  function block(table, found, settings, open) {
    const made = element("article", "", "choice");
    made.dataset.experiment = table.experiment;
    made.append(element("h3", table.who));
    const sentences = [answer(table, found), cost(found), ...further(found), found.option ? found.option.why : "",
      inTime(found, settings.deadline)];
    made.append(...sentences.filter(Boolean).map((text) => element("p", text)));
    const details = every(table, found);
    details.open = open.has(table.experiment);
    made.append(details);
    tables.begin(details);
    return made;
  }

  // What the first screen says of the experiment holds for the report as it was written: beside it stands what is new.
  function note(table, found, anew) {
    const card = document.querySelector(`.card[data-experiment="${CSS.escape(table.experiment)}"]`);
    if (!card) {
      return;
    }
    card.querySelectorAll(".anew").forEach((old) => old.remove());
    if (anew) {
      const link = element("a", "the settings below");
      link.href = "#decide";
      const made = element("p", "", "anew");
      made.append("At ", link, `: ${answer(table, found)}`);
      card.prepend(made);
    }
  }

  // The settings of the fields; null where a field holds what cannot be used, with the reason written beside it.
  function read(form, given) {
    const settings = { ...given };
    let sound = true;
    const take = (name, value, allowed, rule) => {
      const field = form.elements[name];
      const said = form.querySelector(`#${name}-error`);
      const good = allowed(value);
      said.textContent = good ? "" : rule;
      field.setAttribute("aria-invalid", String(!good));
      sound = sound && good;
      settings[name] = value;
    };
    for (const [name, most] of [["margin", 0.2], ["loss_margin", 0.5]]) {
      if (form.elements[name]) {
        const text = form.elements[name].value.trim();
        take(name, text === "" ? given[name] : Number(text) / 100, (value) => value > 0 && value <= most,
          `Give a number above 0 and up to ${100 * most}.`);
      }
    }
    const price = form.elements.price.value.trim();
    take("price", price === "" ? null : Number(price), (value) => value === null || value >= 0,
      "Give 0 or more, or leave it out.");
    const deadline = form.elements.deadline.value.trim();
    take("deadline", deadline === "" ? null : state.seconds(deadline), (value) => value === null || value >= 0,
      "Write for example 90s, 10m or 1.5h.");
    return sound ? settings : null;
  }

  // What differs from the report as it was written, as the command line's options have it.
  function changed(form, settings, given) {
    const texts = { margin: String(Number(settings.margin.toPrecision(12))),
      loss_margin: String(Number(settings.loss_margin.toPrecision(12))),
      price: settings.price === null ? "" : String(settings.price), deadline: form.elements.deadline.value.trim() };
    const differing = FIELDS.filter((name) => settings[name] !== given[name]);
    return Object.fromEntries(differing.map((name) => [name, texts[name]]));
  }

  function commandOf(command, differing) {
    const options = Object.entries(differing).filter(([, text]) => text)
      .map(([name, text]) => ` --${name.replace("_", "-")} ${text}`);
    return command + options.join("");
  }

  function fill(form, settings, texts) {
    const percent = (value) => String(Number((100 * value).toPrecision(12)));
    for (const name of ["margin", "loss_margin"]) {
      if (form.elements[name]) {
        form.elements[name].value = percent(name in texts ? Number(texts[name]) : settings[name]);
      }
    }
    const price = "price" in texts ? texts.price : settings.price;
    form.elements.price.value = price === null ? "" : price;
    form.elements.deadline.value = "deadline" in texts ? texts.deadline
      : settings.deadline === null ? "" : `${settings.deadline}s`;
  }

  // live: what the page holds for deciding. texts: of a link. told: hears of what differs from the report as written.
  function begin(live, texts, told) {
    const section = document.getElementById("decide");
    if (!section || !live.tables.length) {
      return;
    }
    const form = section.querySelector("form");
    const output = section.querySelector(".decided");
    const command = section.querySelector(".command");
    const again = () => {
      const settings = read(form, live.settings);
      if (!settings) {
        return;
      }
      const open = new Set([...output.querySelectorAll("article")].filter((one) => one.querySelector("details").open)
        .map((one) => one.dataset.experiment));
      const differing = changed(form, settings, live.settings);
      const decided = live.tables.map((table) => [table, decision.decide(table, settings)]);
      output.replaceChildren(...decided.map(([table, found]) => block(table, found, settings, open)));
      decided.forEach(([table, found]) => note(table, found, Object.keys(differing).length > 0));
      command.textContent = commandOf(live.report, differing);
      document.body.classList.toggle("decided-anew", Object.keys(differing).length > 0);
      told(differing);
    };
    fill(form, live.settings, texts);
    form.addEventListener("input", again);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.querySelector("[type=reset]").addEventListener("click", (event) => {
      event.preventDefault();
      fill(form, live.settings, {});
      again();
    });
    section.hidden = false;
    again();
  }

  return { begin };
})();
