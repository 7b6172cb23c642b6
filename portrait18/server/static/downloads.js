// Predictions as files: JSON, CSV with the columns of `portrait18 predict --csv`, and the picture.

import { annotate } from "./annotation.js";
import { TASKS } from "./predictions.js";

const BOX = ["x0", "y0", "x1", "y1"];

/** Offer a file under a name. */
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // not before the browser has read it
}

const stem = (name) => name.replace(/\.[^.]*$/, "") || name;

/** Photos as one JSON document, with the training data and limits of the model, from /model. */
export function toJson(results, card) {
  const { description, limits, inputs } = card ?? {};
  const photos = results.map(({ name, photo }) => ({ photo: name, ...photo }));
  return JSON.stringify({ model: { description, limits, inputs }, photos }, null, 2);
}

const cell = (value) => {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** A row per face; a photo without a face keeps a row. */
export function toCsv(results) {
  const names = Object.keys(TASKS);
  const columns = Object.entries(TASKS).flatMap(([task, [, classes]]) =>
    Object.keys(classes).map((name) => [task, name]));
  const header = ["photo", "face", "found", "score", ...BOX, ...names, "class", "name"];
  header.push(...columns.map((column) => column.join("_")), "years");
  const rows = results.flatMap(({ name, photo }) => {
    if (photo.faces.length === 0) return [[name, 0, ...Array(header.length - 2).fill("")]];
    return photo.faces.map((face, i) => [
      ...[name, i + 1, face.found, face.score, ...face.box],
      ...names.map((task) => face[task].label),
      ...[face.class, face.name],
      ...columns.map(([task, key]) => face[task].probabilities[key]),
      face.years,
    ]);
  });
  return [header, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

const TYPES = { json: "application/json", csv: "text/csv" };

/** Save results as a file; `type` is json or csv. */
export function saveText(type, name, results, card) {
  const text = type === "json" ? toJson(results, card) : toCsv(results);
  save(`${stem(name)}.${type}`, new Blob([text], { type: TYPES[type] }));
}

/** Save the annotated picture. */
export async function savePicture(name, image, photo) {
  save(`${stem(name)}-predictions.jpg`, await annotate(image, photo));
}
