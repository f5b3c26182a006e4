"""`manage.py ensure_admin` makes a superuser, and gives an existing one the new password."""

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command


@pytest.mark.django_db
def test_the_login_works_whoever_had_the_name_before(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_user("admin", password="old", is_active=False)
    for username, password in (("admin", "first"), ("admin", "second"), ("other", "third")):
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
        call_command("ensure_admin", username=username, verbosity=0)
        user = User.objects.get(username=username)
        assert user.check_password(password)
        assert user.is_active
        assert user.is_staff
        assert user.is_superuser
    assert User.objects.count() == 2


def test_without_a_password_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SUPERUSER_PASSWORD", raising=False)
    with pytest.raises(CommandError, match="DJANGO_SUPERUSER_PASSWORD"):
        call_command("ensure_admin", username="admin")
