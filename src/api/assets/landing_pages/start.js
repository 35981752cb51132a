"use strict";

const form = document.querySelector("form");
const button = form.querySelector("button");
const password = form.querySelector("#password");
const show = form.querySelector("#show");
const outcome = document.querySelector("#outcome");
// In the fragment, which is not sent to the server; in the query of older links.
const parameters = (part) => new URLSearchParams(part.slice(1));
const token = parameters(location.hash).get("token") ?? parameters(location.search).get("token");

// textContent, so that messages are never parsed as HTML.
function report(text, failed) {
  outcome.textContent = text;
  outcome.className = failed ? "failed" : "done";
}

async function send() {
  const body = password ? { token, password: password.value } : { token };
  const response = await fetch(form.dataset.operation, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
  });
  if (response.ok) return;
  // A proxy may respond without the error format.
  const failure = await response.json().catch(() => null);
  throw new Error(failure?.message ?? `That did not work (${response.status}). Try again later.`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  report("", false);
  try {
    await send();
    form.remove();
    // Remove the used token from the history.
    history.replaceState(null, "", location.pathname);
    report(form.dataset.done, false);
    outcome.focus();
  } catch (error) {
    // A TypeError of fetch is a network error.
    report(error instanceof TypeError ? "The server cannot be reached. Try again later." : error.message, true);
  } finally {
    button.disabled = false;
  }
});

show?.addEventListener("change", () => {
  password.type = show.checked ? "text" : "password";
});

// Another link opened in the same tab changes the fragment only.
addEventListener("hashchange", () => location.reload());

if (token) {
  form.hidden = false;
} else {
  report("This link is incomplete: it has no token. Open the complete link from the e-mail, or request a new one.", true);
}
