// Points that answer to hover, tap and keyboard, and series that are switched on and off.
"use strict";

const charts = (() => {
  const NEAR = 26; // pixels from a point within which the pointer means it
  const LEAVING = 250; // milliseconds in which the pointer may go from a point to its text
  let tip = null;
  let shown = null; // the point whose text is shown
  let pinned = false;
  let leaving = 0;
  let repeat = "";

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) {
      made.className = className;
    }
    if (text) {
      made.textContent = text;
    }
    return made;
  }

  function commandOf(point) {
    const runs = point.dataset.runs || point.parentNode.dataset.runs || "";
    return repeat && runs ? repeat.replace("{}", runs) : "";
  }

  function filled(point) {
    const svg = point.ownerSVGElement;
    const name = JSON.parse(svg.dataset.names)[Number(point.parentNode.dataset.series)];
    const label = point.getAttribute("aria-label");
    const before = `${name ? `${name}, ` : ""}${point.dataset.x}: `;
    const heading = element("p", "tip-name");
    const [axis, unit] = svg.dataset.x.split(", ");
    const place = [axis, point.dataset.x, unit].filter(Boolean).join(" ");
    heading.append(element("b", "", name), name ? `, ${place}` : place);
    const value = element("p", "tip-value", `${svg.dataset.y}: ${label.slice(before.length)}`);
    const parts = [heading, value];
    const command = commandOf(point);
    if (command) {
      parts.push(element("code", "", command), copyButton(command));
    }
    tip.replaceChildren(...parts);
  }

  function copyButton(command) {
    const button = element("button", "copy", "Copy the command that repeats it");
    button.type = "button";
    button.addEventListener("click", async () => {
      await copied(command);
      button.textContent = "Copied";
    });
    return button;
  }

  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = element("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  function placed(point) {
    const at = point.getBoundingClientRect();
    const [width, height] = [tip.offsetWidth, tip.offsetHeight];
    const room = document.documentElement.clientWidth - width - 8;
    const left = Math.max(8, Math.min(at.left + at.width / 2 - width / 2, room));
    const above = at.top - height - 8;
    const top = above > 4 ? above : at.bottom + 8;
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${top + window.scrollY}px`;
  }

  function show(point, pin) {
    clearTimeout(leaving);
    if (shown !== point) {
      hide();
      shown = point;
      point.classList.add("on");
      tip.hidden = false;
      filled(point);
    }
    pinned = pinned || pin;
    tip.classList.toggle("pinned", pinned);
    placed(point);
  }

  function hide() {
    clearTimeout(leaving);
    if (shown) {
      shown.classList.remove("on");
    }
    shown = null;
    pinned = false;
    tip.hidden = true;
  }

  function hideSoon() {
    clearTimeout(leaving);
    if (!pinned) {
      leaving = setTimeout(hide, LEAVING);
    }
  }

  function visible(svg) {
    return [...svg.querySelectorAll(".points circle")].filter((point) => !point.parentNode.classList.contains("off"));
  }

  // The visible point that the pointer is near to; null where none is.
  function nearest(svg, event) {
    const matrix = svg.getScreenCTM();
    const [x, y] = [(event.clientX - matrix.e) / matrix.a, (event.clientY - matrix.f) / matrix.d];
    let best = null;
    let least = NEAR / matrix.a;
    for (const point of visible(svg)) {
      const distance = Math.hypot(point.cx.baseVal.value - x, point.cy.baseVal.value - y);
      if (distance < least) {
        [best, least] = [point, distance];
      }
    }
    return best;
  }

  function focus(svg, point) {
    svg.querySelectorAll(".points [tabindex]").forEach((other) => other.removeAttribute("tabindex"));
    point.setAttribute("tabindex", "0");
    point.focus({ preventScroll: true });
    point.scrollIntoView({ block: "nearest" });
  }

  // The point that an arrow key leads to: along the series, or at about the same place of the next series.
  function beside(svg, point, key) {
    const group = point.parentNode;
    const line = [...group.children];
    const at = line.indexOf(point);
    if (key === "Home" || key === "End") {
      return line[key === "Home" ? 0 : line.length - 1];
    }
    if (key === "ArrowLeft" || key === "ArrowRight") {
      return line[at + (key === "ArrowRight" ? 1 : -1)];
    }
    const groups = [...svg.querySelectorAll(".points > g:not(.off)")];
    const next = groups[groups.indexOf(group) + (key === "ArrowDown" ? 1 : -1)];
    const away = (other) => Math.abs(other.cx.baseVal.value - point.cx.baseVal.value);
    return next && [...next.children].reduce((best, other) => away(other) < away(best) ? other : best);
  }

  function pressed(svg, event) {
    const point = event.target.closest("circle");
    if (!point) {
      return;
    }
    if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) {
      event.preventDefault();
      const next = beside(svg, point, event.key);
      if (next) {
        focus(svg, next);
      }
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      show(point, true);
      const button = tip.querySelector("button");
      if (button) {
        button.focus();
      }
    }
  }

  function listening(svg) {
    svg.addEventListener("pointermove", (event) => {
      const point = pinned ? null : nearest(svg, event);
      if (point) {
        show(point, false);
      } else if (!pinned) {
        hideSoon();
      }
    });
    svg.addEventListener("pointerleave", hideSoon);
    svg.addEventListener("click", (event) => {
      const point = nearest(svg, event);
      hide();
      if (point) {
        show(point, true);
      }
    });
    // Not on the figure itself: with listeners of its own for the focus, a click would focus it as a whole.
    svg.parentNode.addEventListener("focusin", (event) => {
      if (svg.contains(event.target) && event.target.matches("circle:focus-visible")) {
        show(event.target, false);
      }
    });
    svg.parentNode.addEventListener("focusout", hideSoon);
    svg.addEventListener("keydown", (event) => pressed(svg, event));
  }

  function colourOf(svg, series) {
    const drawn = svg.querySelector(`g[aria-hidden] [data-series="${series}"] [style*="var(--c"]`);
    const found = drawn && /var\(--c\w+\)/.exec(drawn.getAttribute("style"));
    return found ? found[0] : "currentColor";
  }

  function toggle(svg, series, on) {
    svg.querySelectorAll(`[data-series="${series}"]`).forEach((part) => part.classList.toggle("off", !on));
    const reachable = visible(svg);
    if (reachable.length && !reachable.some((point) => point.hasAttribute("tabindex"))) {
      svg.querySelectorAll(".points [tabindex]").forEach((point) => point.removeAttribute("tabindex"));
      reachable[0].setAttribute("tabindex", "0");
    }
    if (shown && shown.parentNode.classList.contains("off")) {
      hide();
    }
  }

  // A button for each series of a figure that has several; `changed` is told of the names that are off.
  function legend(svg, hidden, changed) {
    const names = JSON.parse(svg.dataset.names);
    const own = names.map((name, series) => ({ name, series })).filter((one) => one.name
      && svg.querySelector(`[data-series="${one.series}"]`));
    if (own.length < 2) {
      return;
    }
    const row = element("div", "legend");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", `Series of: ${svg.getAttribute("aria-label")}`);
    for (const { name, series } of own) {
      const button = element("button", "", name);
      button.type = "button";
      button.style.setProperty("--swatch", colourOf(svg, series));
      const set = (on) => {
        button.setAttribute("aria-pressed", String(on));
        toggle(svg, series, on);
      };
      button.addEventListener("click", () => {
        set(button.getAttribute("aria-pressed") !== "true");
        changed(svg.dataset.figure, [...row.children].filter((one) => one.getAttribute("aria-pressed") !== "true")
          .map((one) => one.textContent));
      });
      set(!hidden.includes(name));
      row.append(button);
    }
    svg.after(row);
  }

  // command: how a point is repeated, with {} in the place of the conditions; "" where nothing here can.
  // hidden: figure -> names of series that are off.
  function begin(command, hidden, changed) {
    repeat = command;
    tip = element("div", "tip");
    tip.hidden = true;
    tip.setAttribute("role", "status");
    tip.addEventListener("pointerenter", () => clearTimeout(leaving));
    tip.addEventListener("pointerleave", hideSoon);
    tip.addEventListener("focusout", (event) => {
      if (!tip.contains(event.relatedTarget)) {
        hide();
      }
    });
    document.body.append(tip);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && shown) {
        const point = shown;
        const within = tip.contains(document.activeElement);
        hide();
        if (within) {
          point.focus();
        }
      }
    });
    document.addEventListener("click", (event) => {
      if (shown && !tip.contains(event.target) && !event.target.closest("svg[data-names]")) {
        hide();
      }
    });
    window.addEventListener("resize", hide);
    document.querySelectorAll("svg[data-names]").forEach((svg) => {
      listening(svg);
      legend(svg, hidden[svg.dataset.figure] || [], changed);
    });
  }

  return { begin };
})();
