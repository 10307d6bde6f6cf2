"""How any service talks, finds others, stores and stops. It knows no business and reads no environment."""
