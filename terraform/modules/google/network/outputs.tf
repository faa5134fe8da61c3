output "network_id" {
  description = "The network; known once Google's part of it is joined, so that a database can be made in it."
  value       = google_service_networking_connection.database.network
}

output "subnetwork_id" {
  description = "The subnet of the service."
  value       = google_compute_subnetwork.service.id
}
