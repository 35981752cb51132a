// The example may be that of the media type or of its schema.
const EXAMPLES = ["example", "examples"];

const filled = (value) =>
  value !== undefined && value !== null && (typeof value !== "object" || Object.keys(value).length > 0);

export default function hasExample(media) {
  const holders = [media, media?.schema].filter((holder) => holder && typeof holder === "object");
  if (holders.some((holder) => EXAMPLES.some((key) => filled(holder[key])))) return [];
  return [{ message: "example is missing" }];
}
