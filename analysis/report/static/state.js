// What a link to the page holds: the settings that were changed, and the series that are off.
"use strict";

const state = (() => {
  const SECONDS = { s: 1, m: 60, h: 3600 };

  // A length of time as the command line takes it, in seconds: 90s, 10m, 1.5h or plain seconds; NaN for another text.
  function seconds(text) {
    const found = /^\s*(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)\s*$/.exec(text);
    return found ? Number(found[1]) * (SECONDS[found[2]] || 1) : NaN;
  }

  // {margin: "0.01", hide: {figure: [names]}} of #margin=0.01&hide=figure:name,name; a plain anchor holds nothing.
  function read(hash) {
    const found = { hide: {} };
    if (!hash.includes("=")) {
      return found;
    }
    for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
      if (name === "hide") {
        const [figure, ...names] = value.split(":");
        found.hide[figure] = names.join(":").split("|");
      } else {
        found[name] = value;
      }
    }
    return found;
  }

  function written(values) {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(values)) {
      if (name === "hide") {
        Object.entries(value).filter(([, names]) => names.length)
          .forEach(([figure, names]) => parameters.append("hide", `${figure}:${names.join("|")}`));
      } else if (value) {
        parameters.append(name, value);
      }
    }
    return parameters.toString();
  }

  // The address changes without a step in the history; without a state an anchor of a section stays.
  function write(values) {
    const text = written(values);
    if (text || location.hash.includes("=")) {
      history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    }
  }

  return { read, written, write, seconds };
})();
