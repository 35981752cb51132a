"use strict";

const form = document.querySelector("form");
const button = form.querySelector("button");
const password = form.querySelector("#password");
const show = form.querySelector("#show");
const outcome = document.querySelector("#outcome");
const token = new URLSearchParams(location.search).get("token");

// As text, whatever it is.
function tell(text, failed) {
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
  // What stands between may answer without an envelope.
  const failure = await response.json().catch(() => null);
  throw new Error(failure?.message ?? `That did not work (${response.status}). Try again later.`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  tell("", false);
  try {
    await send();
    form.remove();
    // It is used up, and need not lie in the history.
    history.replaceState(null, "", location.pathname);
    tell(form.dataset.done, false);
    outcome.focus();
  } catch (error) {
    // The wording of the browser about a network that is down helps nobody.
    tell(error instanceof TypeError ? "The server cannot be reached. Try again later." : error.message, true);
  } finally {
    button.disabled = false;
  }
});

show?.addEventListener("change", () => {
  password.type = show.checked ? "text" : "password";
});

if (token) {
  form.hidden = false;
} else {
  tell("This link is not complete: it has no token. Open it as it stands in the mail, or ask for a new mail.", true);
}
