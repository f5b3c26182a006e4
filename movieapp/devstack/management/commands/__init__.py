"""The one management command of the development stack."""
