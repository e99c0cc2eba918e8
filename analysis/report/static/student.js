// Student's t distribution by the incomplete beta function, as precise as a double allows.
"use strict";

const student = (() => {
  const SMALLEST = 1e-300;
  const ENOUGH = 1e-16;
  const MOST_TERMS = 10000;

  // ln(Gamma(a + 1/2) / Gamma(a)): moved up by the recurrence, then by its asymptotic series.
  function logGammaStep(from) {
    let a = from;
    let moved = 0;
    for (; a < 16; a += 1) {
      moved += Math.log(a / (a + 0.5));
    }
    const square = 1 / (a * a);
    const series = -1 / 8 + square * (1 / 192 + square * (-1 / 640 + square * (17 / 14336 - square * 31 / 18432)));
    return moved + 0.5 * Math.log(a) + series / a;
  }

  function keptFromZero(value) {
    return Math.abs(value) < SMALLEST ? SMALLEST : value;
  }

  // The continued fraction of the incomplete beta function, by Lentz's method.
  function fraction(x, a, b) {
    let c = 1;
    let d = 1 / keptFromZero(1 - (a + b) * x / (a + 1));
    let value = d;
    for (let m = 1; m <= MOST_TERMS; m += 1) {
      const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      for (const term of [even, odd]) {
        d = 1 / keptFromZero(1 + term * d);
        c = keptFromZero(1 + term / c);
        value *= c * d;
      }
      if (Math.abs(c * d - 1) < ENOUGH) {
        break;
      }
    }
    return value;
  }

  // Half of I_x(freedom / 2, 1/2), x = freedom / (freedom + t^2): the tail beyond |t|.
  function tail(t, freedom) {
    const a = freedom / 2;
    const x = freedom / (freedom + t * t);
    const rest = t * t / (freedom + t * t);
    if (rest === 0) {
      return 0.5;
    }
    const logBeta = 0.5 * Math.log(Math.PI) - logGammaStep(a);
    const logX = -Math.log1p(t * t / freedom);
    const front = Math.exp(a * logX + 0.5 * Math.log(rest) - logBeta);
    if (x < (a + 1) / (a + 2.5)) {
      return 0.5 * front * fraction(x, a, 0.5) / a;
    }
    return 0.5 * (1 - 2 * front * fraction(rest, 0.5, a));
  }

  // The probability of a value above t.
  function above(t, freedom) {
    if (!(freedom > 0) || Number.isNaN(t)) {
      return NaN;
    }
    return t >= 0 ? tail(t, freedom) : 1 - tail(t, freedom);
  }

  return { above };
})();
