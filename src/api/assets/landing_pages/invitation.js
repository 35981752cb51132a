"use strict";

const form = document.querySelector("form");
const buttons = form.querySelectorAll("button");
const outcome = document.querySelector("#outcome");
const id = new URLSearchParams(location.search).get("id");
const { email, password, show, name } = form.elements;
const isNew = form.elements.new;

// Until this page is closed, so that who had to prove an address first need not make the account twice.
let token = null;

// As text, whatever it is.
function tell(text, failed) {
  outcome.textContent = text;
  outcome.className = failed ? "failed" : "done";
}

async function call(operation, body) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const init = { method: "POST", headers, credentials: "omit", ...(body && { body: JSON.stringify(body) }) };
  const response = await fetch(operation, init);
  // What stands between may answer without an envelope, and some answers have no body.
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const text = answer?.message ?? `That did not work (${response.status}). Try again later.`;
  throw Object.assign(new Error(text), { status: response.status, code: answer?.error });
}

async function answer(verb) {
  if (!token) {
    const account = { email: email.value, password: password.value };
    const session = isNew.checked
      ? await call("v1/auth/register", { ...account, name: name.value })
      : await call("v1/auth/login", account);
    token = session.access_token;
    // There is one now, so whoever has to try again logs in.
    isNew.checked = false;
    adapt();
  }
  await call(`v1/invitations/${encodeURIComponent(id)}/${verb}`);
}

// The session is for this page alone.
async function leave() {
  if (!token) return;
  const left = call("v1/auth/logout");
  token = null;
  await left.catch(() => null);
}

// Who is new has a name, and a password that is not known yet.
function adapt() {
  name.required = isNew.checked;
  name.hidden = !isNew.checked;
  name.labels[0].hidden = !isNew.checked;
  password.autocomplete = isNew.checked ? "new-password" : "current-password";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const verb = event.submitter?.value ?? "accept";
  for (const button of buttons) button.disabled = true;
  tell("", false);
  try {
    await answer(verb);
    form.remove();
    tell(verb === "accept" ? "You are a member of the project now." : "You have declined the invitation.", false);
    outcome.focus();
    await leave();
  } catch (error) {
    // What ends after a while begins anew with the next try.
    if (error.status === 401) token = null;
    if (error.code === "FORBIDDEN") error.message = `This invitation is for another address than ${email.value}.`;
    // The wording of the browser about a network that is down helps nobody.
    tell(error instanceof TypeError ? "The server cannot be reached. Try again later." : error.message, true);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
});

show.addEventListener("change", () => {
  password.type = show.checked ? "text" : "password";
});

isNew.addEventListener("change", adapt);

// Another account than before: the session of that one is not left open.
for (const field of [email, password, isNew]) {
  field.addEventListener("input", () => {
    leave();
  });
}

if (id) {
  form.hidden = false;
} else {
  tell("This link is not complete: it does not say which invitation. Open it as it stands in the mail.", true);
}
