# A network without public addresses. Databases of Cloud SQL are in a network of Google's that is joined to it; what goes to
# OpenAI leaves Cloud Run directly, so that no NAT is needed.

resource "google_compute_network" "this" {
  project                 = var.project
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "service" {
  project                  = var.project
  name                     = "${var.name}-service"
  region                   = var.region
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.service_cidr_block
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_5_MIN"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_global_address" "database" {
  project       = var.project
  name          = "${var.name}-database"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = var.database_address
  prefix_length = 20
  network       = google_compute_network.this.id
}

resource "google_service_networking_connection" "database" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database.name]
}
