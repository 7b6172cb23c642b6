// Shows /openapi.json: each route with an example of how it is called and of what it answers.

const main = document.getElementById("routes");

function add(parent, tag, text = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

/** A schema's example, or one made of its parts'. */
function example(schema, all) {
  if (schema.$ref) return example(all[schema.$ref.split("/").pop()], all);
  if (schema.examples) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  if (schema.type === "array") return [example(schema.items, all)];
  if (schema.type === "object") {
    return Object.fromEntries(Object.entries(schema.properties).map(([k, v]) => [k, example(v, all)]));
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
  add(section, "pre", call(method, path, operation)).tabIndex = 0; // so that the keyboard can scroll it
  const answered = operation.responses[200]?.content?.["application/json"]?.schema;
  if (answered) {
    add(section, "h3", "Answers");
    add(section, "pre", JSON.stringify(example(answered, all), null, 2)).tabIndex = 0;
  }
  add(section, "h3", "Status");
  const table = add(section, "table");
  for (const [status, { description }] of Object.entries(operation.responses)) {
    const row = add(table, "tr");
    add(row, "td", status);
    add(row, "td", description);
  }
}

try {
  const described = await (await fetch("openapi.json")).json();
  const all = described.components.schemas;
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, operation] of Object.entries(methods)) route(method, path, operation, all);
  }
  const section = add(main, "section");
  add(section, "h2", "Refusals");
  add(section, "p", "Every refusal is problem JSON (RFC 9457); photos lists every photo that is to blame.");
  add(section, "pre", JSON.stringify(example(all.Problem, all), null, 2)).tabIndex = 0;
} catch {
  add(main, "p", "The server does not answer.");
}
