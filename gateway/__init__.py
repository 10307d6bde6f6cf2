"""The edge: Envoy, configured from the protos, and what browsers and front-end teams need beside it.

It knows every RPC by its descriptor and none by its code: routes, transcoding and OpenAPI are derived at start.
"""
