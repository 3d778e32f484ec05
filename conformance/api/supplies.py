"""What is in the shop under test: ids to ask for, and what else only the shop knows."""

import random

import requests

# Who nobody speaks as: their tokens and their password are for trying.
SHOPPER = {"email": "shopper@example.com", "password": "Corr3ct-horse"}

# Where the ids of each kind of path are found, in turn: something in every state that an operation wants.
PRODUCTS = ["products?inStock=true&limit=10"]
LINES = ["cart"]
ORDERS = [f"admin/orders?limit=10&status={status}" for status in ("PAID", "PENDING", "SHIPPED", "CANCELLED")]
OWN_ORDERS = [f"orders?limit=10&status={status}" for status in ("PENDING", "PAID", "CANCELLED")]
EVENTS = [f"admin/events?limit=10&status={status}" for status in ("FAILED", "APPLIED", "WAITING", "IGNORED")]
USERS = ["admin/users?limit=10"]

# The whole machine may be busy with something else for a while.
PATIENCE = 300


class Shop:
    """Asks the shop, as whoever the run speaks as."""

    def __init__(self, address, token, password):
        self.api = f"{address}/api/v1"
        self.session = requests.Session()
        self.choice = random.Random(1)
        self.password = password
        # Those who are in use, and so must stay as they are.
        self.kept = set()
        self.is_admin = self.is_customer = False
        self.spare = None
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"
            me = self.ask("users/me")
            self.kept.add(me["id"])
            self.is_admin = me["role"] == "ADMIN"
            self.is_customer = not self.is_admin
        if self.is_admin:
            self.kept.update(self.ids_in(f"admin/users?email={SHOPPER['email']}"))

    def ask(self, path):
        answer = self.session.get(f"{self.api}/{path}", timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def ids_in(self, path):
        return [item.get("id") or item["productId"] for item in self.ask(path)["items"]]

    def lists_for(self, label):
        kinds = {"products": PRODUCTS}
        if self.is_customer:
            kinds |= {"cart": LINES, "orders": OWN_ORDERS}
        elif self.is_admin:
            kinds |= {"orders": ORDERS, "admin/orders": ORDERS, "admin/events": EVENTS, "admin/users": USERS}
        path = label.split(" ")[1].removeprefix("/api/v1/")
        return next((lists for start, lists in kinds.items() if path.startswith(start)), [])

    def id_for(self, label, number):
        """An id for the path of this operation, if whoever asks may know one."""
        lists = self.lists_for(label)
        if lists == LINES:
            self.fill_cart()
        ids = [one for one in self.ids_in(lists[number % len(lists)]) if one not in self.kept] if lists else []
        return self.choice.choice(ids) if ids else None

    def product(self):
        return self.id_for("GET /api/v1/products", 0)

    def fill_cart(self):
        if self.is_customer:
            line = {"productId": self.product(), "quantity": 1}
            self.session.post(f"{self.api}/cart/items", json=line, timeout=PATIENCE)

    def refresh_token(self):
        """One that works, of a session that is nobody's loss."""
        if self.spare is None:
            answer = requests.post(f"{self.api}/auth/login", json=SHOPPER, timeout=PATIENCE)
            answer.raise_for_status()
            self.spare = answer.json()["refreshToken"]
        return self.spare

    def hear(self, label, body, response):
        """Keeps up with what a request has changed."""
        if label == "POST /api/v1/auth/change-password" and response.status_code == 204:
            self.password = body["newPassword"]
        elif label in ("POST /api/v1/auth/refresh", "POST /api/v1/auth/logout") and isinstance(body, dict):
            if body.get("refreshToken") == self.spare:
                self.spare = response.json()["refreshToken"] if response.status_code == 200 else None
