/**
 * Who may import whom: cli → engine → container, image, network → runtime, registry → linux, oci → util.
 * A row never imports from its left, and rows of one step do not import each other.
 */
const steps = [
  ["cli"],
  ["engine"],
  ["container", "image", "network"],
  ["runtime", "registry"],
  ["linux", "oci"],
  ["util"],
];

/** For each folder: everything but itself and what lies to its right is forbidden. */
const directions = steps.flatMap((step, index) =>
  step.map((folder) => {
    const forbidden = steps
      .slice(0, index + 1)
      .flat()
      .filter((other) => other !== folder);
    return {
      name: `${folder}-imports-only-from-its-right`,
      comment: `src/${folder} may import from: ${[folder, ...steps.slice(index + 1).flat()].join(", ")}`,
      severity: "error",
      from: { path: `^src/${folder}/` },
      to: { path: `^src/(${[...forbidden].join("|") || "(?!)"})/` },
    };
  }),
);

module.exports = {
  forbidden: [
    ...directions,
    {
      name: "no-circles",
      severity: "error",
      from: {},
      // Types that mention each other are no circle at run time.
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "front-door-imports-lazily",
      comment: "src/main.ts is on the way of every start: it loads only the role that it needs",
      severity: "error",
      from: { path: "^src/main[.]ts$" },
      to: { dynamic: false, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "nothing-imports-the-front-door",
      severity: "error",
      from: {},
      to: { path: "^src/main[.]ts$" },
    },
    {
      name: "sources-import-no-tests-or-scripts",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(tests|scripts)/" },
    },
    {
      name: "no-development-dependencies-in-the-binary",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "everything-resolves",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^bun(:|$)" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["bun", "import", "types", "default"] },
    builtInModules: { add: ["bun", "bun:ffi", "bun:test", "bun:sqlite", "bun:jsc"] },
  },
};
