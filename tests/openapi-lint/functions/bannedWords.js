export default function bannedWords(text, { words }) {
  if (typeof text !== "string") return [];
  return words
    .filter((word) => new RegExp(`(?<!\\w)${word.replaceAll(".", "\\.")}(?!\\w)`, "i").test(text))
    .map((word) => ({ message: `"${word}" is banned` }));
}
