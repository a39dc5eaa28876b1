"""Apps that would exist in any project we build; nothing here knows the domain."""
