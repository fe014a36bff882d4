"""Rules and words of the domain; imports only the standard library and pydantic."""
