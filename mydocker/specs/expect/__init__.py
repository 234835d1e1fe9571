"""The key `expect`: what a spec file expects of its container becomes Checks."""
