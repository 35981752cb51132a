"""Verifies webhook deliveries with the official library and with the published recipe.

Each input line is {"secret", "headers", "body", "now"}; `now`, in seconds, defaults to the current time. Prints
{"official", "recipe", "event"} for each: `true` or the error of both verifications, and the event from the recipe. Exits
at the end of its input.
"""

import datetime
import importlib.util
import json
import pathlib
import sys

import standardwebhooks.webhooks

RECIPE = pathlib.Path(__file__).parents[2] / "openapi/recipes/verify_webhook.py"


class Clock(datetime.datetime):
    """The clock of the library."""

    moment = None

    @classmethod
    def now(cls, tz=None):
        return super().now(tz) if cls.moment is None else cls.fromtimestamp(cls.moment, tz)


def attempt(verify, errors):
    try:
        return True, verify()
    except errors as error:
        return str(error), None


def main():
    # Leave no compiled file next to the recipe.
    sys.dont_write_bytecode = True
    specification = importlib.util.spec_from_file_location("recipe", RECIPE)
    recipe = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(recipe)
    standardwebhooks.webhooks.datetime = Clock
    for line in sys.stdin:
        delivery = json.loads(line)
        secret, headers, body = delivery["secret"], delivery["headers"], delivery["body"].encode()
        Clock.moment = delivery.get("now")
        official, _ = attempt(lambda: standardwebhooks.webhooks.Webhook(secret).verify(body, headers), Exception)
        verdict, event = attempt(lambda: recipe.verify(secret, headers, body, Clock.moment), ValueError)
        print(json.dumps({"official": official, "recipe": verdict, "event": event}), flush=True)


main()
