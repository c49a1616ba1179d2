// Tests need an extension that they belong to.
exports.activate = () => {};
