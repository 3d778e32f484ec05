// Starts Swagger UI on the document of the shop that serves this page.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  persistAuthorization: false,
  // Nothing is asked of anybody else: no validator badge.
  validatorUrl: null,
});
