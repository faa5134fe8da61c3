"""Reads .env before any module that needs it."""

from dotenv import load_dotenv

load_dotenv()
