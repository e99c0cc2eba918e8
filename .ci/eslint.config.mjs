// What `eslint` holds the report's scripts to; they share one script element, so each sees the names of those before it.
const browser = ["window", "document", "location", "history", "navigator", "CSS", "Intl", "Infinity", "URLSearchParams",
  "setTimeout", "clearTimeout"];
const shared = ["student", "decision", "state", "tables", "charts", "controls"];

export default [{
  files: ["**/*.js"],
  languageOptions: {
    sourceType: "script",
    globals: Object.fromEntries([...browser.map((name) => [name, "readonly"]), ...shared.map((name) => [name, "writable"])]),
  },
  rules: {
    "no-undef": "error", "no-unused-vars": ["error", { varsIgnorePattern: `^(${shared.join("|")})$` }], eqeqeq: "error",
    "no-var": "error", "prefer-const": "error", "no-unreachable": "error", "no-shadow": "error", "no-fallthrough": "error",
    "no-dupe-keys": "error", "no-const-assign": "error", "no-unused-expressions": "error", strict: ["error", "global"],
  },
}];
