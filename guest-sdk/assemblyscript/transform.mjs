// Exports each function `task_NAME` as the task `wrun:task/NAME`, a name that AssemblyScript has no syntax for, and notes the language
// in the module: wrun then says what to do about calls that do not work with its allocator.

const PREFIX = "task_";

export default class {
  afterCompile(module) {
    const exports = [];
    for (let index = 0; index < module.getNumExports(); index++) {
      const reference = module.getExportByIndex(index);
      exports.push(this.binaryen.getExportInfo(reference));
    }
    for (const { name, value } of exports.filter(({ name }) => name.startsWith(PREFIX))) {
      module.removeExport(name);
      module.addFunctionExport(value, "wrun:task/" + name.slice(PREFIX.length));
    }
    module.addCustomSection("producers", producers("language", "AssemblyScript", ""));
  }
}

// A section `producers` with one field and one value.
function producers(field, value, version) {
  const text = (text) => [text.length, ...new TextEncoder().encode(text)];
  return new Uint8Array([1, ...text(field), 1, ...text(value), ...text(version)]);
}
