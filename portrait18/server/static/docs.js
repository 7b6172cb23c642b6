// Shows /openapi.json: each route with an example call and an example response.

const main = document.getElementById("routes");

function add(parent, tag, text = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

function addCode(parent, text) {
  add(parent, "pre", text).tabIndex = 0; // so that the keyboard can scroll it
}

/** A schema's example, or one built from the examples of its parts. */
function example(schema, all) {
  if (schema.$ref) return example(all[schema.$ref.split("/").pop()], all);
  if (schema.examples) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  if (schema.type === "array") return [example(schema.items, all)];
  if (schema.type === "object") {
    const properties = Object.entries(schema.properties);
    return Object.fromEntries(properties.map(([name, part]) => [name, example(part, all)]));
  }
  return schema.default ?? false;
}

function call(method, path, operation) {
  const parts = ["curl"];
  if (operation.security) parts.push('-H "Authorization: Bearer $PORTRAIT18_API_KEY"');
  const form = operation.requestBody?.content["multipart/form-data"]?.schema.properties ?? {};
  for (const name of Object.keys(form)) parts.push(`-F ${name}=@one.jpg -F ${name}=@another.jpg`);
  return [...parts, location.origin + path].join(" ");
}

function route(method, path, operation, all) {
  const section = add(main, "section");
  add(section, "h2", `${method.toUpperCase()} ${path}`);
  add(section, "p", [operation.summary, operation.description].filter(Boolean).join(". "));
  addCode(section, call(method, path, operation));
  const response = operation.responses[200]?.content?.["application/json"]?.schema;
  if (response) {
    add(section, "h3", "Response");
    addCode(section, JSON.stringify(example(response, all), null, 2));
  }
  add(section, "h3", "Status");
  const table = add(section, "table");
  for (const [status, { description }] of Object.entries(operation.responses)) {
    const row = add(table, "tr");
    add(row, "th", status).scope = "row";
    add(row, "td", description);
  }
}

try {
  const openapi = await (await fetch("openapi.json")).json();
  const all = openapi.components.schemas;
  for (const [path, methods] of Object.entries(openapi.paths)) {
    for (const [method, operation] of Object.entries(methods)) route(method, path, operation, all);
  }
  const section = add(main, "section");
  add(section, "h2", "Errors");
  add(section, "p", "Errors are problem details (RFC 9457); photos lists every photo at fault.");
  addCode(section, JSON.stringify(example(all.Problem, all), null, 2));
} catch {
  add(main, "p", "The server does not respond.");
}
