// The decision from the table of candidates, by the steps of analysis/decision in Python, for any margin, price and
// deadline. A table holds one experiment; analysis/decision/candidates.py says what is in it.
"use strict";

const decision = (() => {
  const keyOf = (batch, rule) => `${batch} ${rule}`;
  const unknownAsNaN = (value) => value === null ? NaN : value;

  // The first of the smallest by a key that is a list, compared as Python compares tuples.
  function smallest(items, key) {
    return items.reduce((best, item) => precedes(key(item), key(best)) ? item : best);
  }

  function precedes(one, two) {
    const at = one.findIndex((value, place) => value !== two[place]);
    return at >= 0 && one[at] < two[at];
  }

  // One-sided p value of losing the margin or more; NaN without spread.
  function below(test, margin, looks) {
    const [, value, error, freedom, , look] = test;
    return error > 0 ? overLooks(student.above((margin - value) / error, freedom), look, looks) : NaN;
  }

  // The least whole level at which a p value is shown at a look, where a study is judged at several; null: at none.
  function overLooks(p, look, looks) {
    if (look === null || !(p > 0)) {
      return p;
    }
    const own = looks.levels[look];
    const after = own.findIndex((level) => level >= p);
    if (after <= 0) {
      return looks.whole[after === 0 ? 0 : own.length - 1];
    }
    const share = Math.log(p / own[after - 1]) / Math.log(own[after] / own[after - 1]);
    return looks.whole[after - 1] * Math.pow(looks.whole[after] / looks.whole[after - 1], share);
  }

  // Adjusted p values of chains that share one level (Bretz, Maurer, Brannath and Posch 2009, algorithm 2).
  function orderedChains(chains) {
    const going = chains.map((_, index) => index).filter((index) => chains[index].length);
    const share = new Map(going.map((index) => [index, 1 / going.length]));
    const place = new Map(going.map((index) => [index, 0]));
    const adjusted = chains.map(() => []);
    let highest = 0;
    while (share.size) {
      const wanted = (index) => {
        const given = chains[index][place.get(index)];
        return (Number.isNaN(given) ? 1 : given) / share.get(index);
      };
      const index = smallest([...share.keys()], (one) => [wanted(one)]);
      highest = Math.max(highest, Math.min(wanted(index), 1));
      adjusted[index].push(Number.isNaN(chains[index][place.get(index)]) ? NaN : highest);
      place.set(index, place.get(index) + 1);
      if (place.get(index) === chains[index].length) {
        const left = share.get(index);
        share.delete(index);
        for (const other of share.keys()) {
          share.set(other, share.get(other) + left / share.size);
        }
      }
    }
    return adjusted;
  }

  // rule -> {batch -> p}, and rule -> the batches shown to lose less than the margin.
  function tested(table, margin) {
    const adjusted = orderedChains(table.chains.map((chain) =>
      chain.tests.map((test) => below(test, margin, table.looks))));
    const pValues = {};
    const kept = {};
    table.chains.forEach((chain, index) => {
      pValues[chain.rule] = Object.fromEntries(chain.tests.map((test, at) => [test[0], adjusted[index][at]]));
      const failing = chain.tests.findIndex((test, at) => !(test[4] >= table.fewest
        && adjusted[index][at] < table.alpha));
      const shown = failing < 0 ? chain.tests : chain.tests.slice(0, failing);
      kept[chain.rule] = new Set([...(chain.sharing ? [table.tested_against] : []), ...shown.map((test) => test[0])]);
    });
    return { pValues, kept };
  }

  // Why nothing is recommended at this margin, and the batches and rules that are left out.
  function grounds(table, margin) {
    const learned = table.learned.map(([batch, rule, judged]) => (
      { batch, rule, shown: table.sign * (unknownAsNaN(judged) - unknownAsNaN(table.chance)) > margin }));
    const atReference = learned.filter((one) => one.batch === table.reference_batch);
    const nothing = atReference.length > 0 && !atReference.some((one) => one.shown);
    const idle = learned.filter((one) => !one.shown).map((one) => keyOf(one.batch, one.rule));
    const refused = nothing ? "Nothing is shown to be learned at the reference batch by more than the margin."
      : table.refused;
    return { refused, leftOut: new Set([...idle, ...table.left_out.map(([batch, rule]) => keyOf(batch, rule))]) };
  }

  // The options among which a rule takes one: as fast and as good as the best of those at home.
  function tied(table, home) {
    const alike = new Set(home.map((one) => one.timed)).size === 1
      && home.every((one) => one.seconds[0] !== null);
    const largest = Math.max(...home.map((one) => one.batch));
    return asGood(table, alike ? asFast(table, home) : home.filter((one) => one.batch === largest));
  }

  function asFast(table, options) {
    const fastest = smallest(options, (one) => [one.seconds[0]]);
    return options.filter((one) => !(table.slower[one.at] || []).includes(fastest.at));
  }

  function asGood(table, options) {
    const best = smallest(options, (one) => [-table.sign * unknownAsNaN(one.choosing)]);
    return options.filter((one) => one === best || !(table.worse[one.at] || []).includes(best.at));
  }

  // The fewest device-hours of the options that meet the deadline.
  function inTime(table, sound, deadline) {
    const fit = sound.filter((one) => one.notWorse && one.seconds[0] !== null);
    const late = ({ seconds: [value, low, high] }) => low === null ? value : high === null ? Infinity : high;
    const good = fit.filter((one) => late(one) <= deadline);
    if (!good.length) {
      return { option: null, fastest: fit.length ? Math.min(...fit.map(late)) : NaN };
    }
    const alone = good.filter((one) => one.alone);
    const option = smallest(alone.length ? alone : good, (one) => [
      unknownAsNaN(one.hours[0]), one.replicas === null ? Infinity : one.replicas,
      -table.sign * unknownAsNaN(one.choosing)]);
    return { option, fastest: Math.min(...fit.map(late)) };
  }

  // settings: margin and loss_margin as fractions, price per device-hour and deadline in seconds or null.
  function decide(table, settings) {
    const margin = (table.percent ? settings.margin : settings.loss_margin) * table.margin_size;
    const { pValues, kept } = tested(table, margin);
    const { refused, leftOut } = grounds(table, margin);
    const options = table.options.map((one, at) => ({
      ...one, at, p: one.batch in pValues[one.arm] ? pValues[one.arm][one.batch] : NaN,
      notWorse: kept[one.arm].has(one.batch), leftOut: leftOut.has(keyOf(one.batch, one.rule)),
      money: settings.price === null || one.hours[0] === null ? null : one.hours[0] * settings.price }));
    const sound = refused ? [] : options.filter((one) => !one.leftOut);
    const home = sound.filter((one) => one.notWorse && one.home);
    const found = { margin, pValues, options, refused, option: null, tied: [] };
    if (settings.deadline !== null) {
      found.deadline = inTime(table, sound, settings.deadline);
    }
    if (refused || table.seeds < table.fewest || !home.length) {
      found.refused = refused || `Fewer than ${table.fewest} seeds have a result at the reference batch.`;
      return found;
    }
    found.tied = tied(table, home);
    const choice = smallest(found.tied, (one) => [one.batch, ...one.order]);
    return { ...found, option: options[choice.trained_at] };
  }

  return { decide };
})();
